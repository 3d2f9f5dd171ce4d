/** A timer that was started with `after`. */
export interface Timer {
  /** Stops it; does nothing when it has fired or was stopped before. */
  clear(): void;
}

/** The longest delay that a platform timer takes, in milliseconds (about 24.8 days). */
export const longestDelay = 2 ** 31 - 1;

/** Monotonic time in milliseconds, with fractions. Only differences mean something. */
export const now = (): number => performance.now();

/** Runs `run` once, `ms` milliseconds from now. It does not keep the process alive. */
export function after(ms: number, run: () => void): Timer {
  const timer = setTimeout(run, Math.min(Math.max(ms, 0), longestDelay));
  timer.unref();
  return new PlatformTimer(timer);
}

class PlatformTimer implements Timer {
  readonly #timer: NodeJS.Timeout;

  constructor(timer: NodeJS.Timeout) {
    this.#timer = timer;
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

/** Runs `run` every `ms` milliseconds from now on. It does not keep the process alive. */
export function every(ms: number, run: () => void): Timer {
  const timer = setInterval(run, ms);
  timer.unref();
  return new PlatformTimer(timer);
}

/** Resolves `ms` milliseconds from now. It does not keep the process alive. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => after(ms, resolve));
}

/** Resolves with `true` when `promise` settles first, with `false` when `ms` milliseconds pass first. */
export function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = after(ms, () => resolve(false));
    const settled = (): void => {
      timer.clear();
      resolve(true);
    };
    promise.then(settled, settled);
  });
}
