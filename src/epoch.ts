/** Counts what may have changed the state behind an upstream: what was read in an older epoch is out of date. */
export class Epoch {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  bump(): void {
    this.#value++;
  }
}
