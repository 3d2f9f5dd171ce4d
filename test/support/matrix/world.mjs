// What the processes of one server have in common, as real servers have a disk or a service behind them: a file to
// which each adds what it did, and which all read.
import { Buffer } from "node:buffer";
import { appendFileSync, openSync, readSync, watch } from "node:fs";

export class World {
  #file;
  #handle;
  #rest = "";
  #listener = () => {};
  #known = new Set();

  constructor(file) {
    this.#file = file;
    this.#handle = openSync(file, "a+");
    watch(file, () => this.#read()).unref();
  }

  /** Calls `listener` with each event, those of earlier processes too. */
  listen(listener) {
    this.#listener = listener;
    this.#read();
  }

  /** Whether that very event has been added by any process. */
  has(event) {
    this.#read();
    return this.#known.has(JSON.stringify(event));
  }

  /** Adds an event; all in this process have been told of it when this returns. */
  add(event) {
    appendFileSync(this.#file, `${JSON.stringify(event)}\n`);
    this.#read();
  }

  #read() {
    const chunk = Buffer.alloc(4096);
    for (;;) {
      const length = readSync(this.#handle, chunk, 0, chunk.length, null);
      if (length === 0) break;
      this.#rest += chunk.toString("utf8", 0, length);
    }
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop();
    for (const line of lines) {
      this.#known.add(line);
      this.#listener(JSON.parse(line));
    }
  }
}
