import process from "node:process";
import { axisText } from "./tables.mjs";

/** Collects the samples of one phase, and which rows have failed and why. */
export class Recorder {
  samples = [];
  failed = {};

  constructor(phase) {
    this.phase = phase;
  }

  record(row, round, values, x) {
    this.samples.push({ row, round, x, values });
  }

  hasFailed(row) {
    return this.failed[row] !== undefined;
  }

  /** Runs what measures a row; where it fails, the row is left out from then on. */
  async attempt(row, run, x) {
    try {
      await run();
    } catch (error) {
      const at = x === undefined ? "" : `at ${axisText(this.phase.axis, x)}: `;
      this.failed[row] = `${at}${error.message.replaceAll(/\s+/g, " ").slice(0, 300)}`;
      process.stderr.write(`${this.phase.name}: ${row} failed: ${this.failed[row]}\n`);
    }
  }
}
