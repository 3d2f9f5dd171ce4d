/** Milliseconds of each of `count` calls, one after the other. */
export async function oneByOne(call, count) {
  const times = [];
  for (let n = 0; n < count; n++) {
    const begin = performance.now();
    await call();
    times.push(performance.now() - begin);
  }
  return times;
}

/** Keeps `width` calls under way as long as `more(finished)` says so; how many there were, and how many a second. */
export async function inFlight(width, call, more) {
  let finished = 0;
  const begin = performance.now();
  const worker = async () => {
    while (more(finished)) {
      await call();
      finished++;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return { calls: finished, perSecond: (finished * 1000) / (performance.now() - begin) };
}

/** True for `ms` milliseconds from now. */
export function during(ms) {
  const end = performance.now() + ms;
  return () => performance.now() < end;
}

/** What `promise` comes to; rejects where that takes longer. */
export async function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
