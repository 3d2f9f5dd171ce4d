// A process that drives runs. Its parent tells it over IPC which methods to call.
//   fork("run-owner.mjs", [URL of the built module of openRunStore, JSON of its options])
// It is asked with { id, method, args } and answers with { id, value } or { id, error: { name, message } }.
import process from "node:process";

const [, , module, options] = process.argv;
const { openRunStore } = await import(module);
const store = openRunStore({ ...JSON.parse(options), onProblem: () => {} });

process.on("message", ({ id, method, args }) => {
  const done = method === "token" ? Promise.resolve(store.token) : store[method](...args);
  done.then(
    (value) => process.send({ id, value }),
    (error) => process.send({ id, error: { name: error.name, message: error.message } }),
  );
});
process.on("disconnect", () => process.exit(0));
// So that nothing stays when a test is broken.
setTimeout(() => process.exit(1), 120_000).unref();
