import { http, stdio } from "./blocks.mjs";
import { cache } from "./cache.mjs";
import { list, tools } from "./lists.mjs";
import { memory } from "./memory.mjs";
import { huge, large, results } from "./payloads.mjs";
import { concurrency, upstreams } from "./scaling.mjs";
import { stack } from "./stack.mjs";
import { start } from "./start.mjs";
import { workflows } from "./workflows.mjs";

/** In the order in which they run, and are told. */
export const phases = [
  stdio,
  http,
  start,
  large,
  list,
  cache,
  huge,
  workflows,
  stack,
  concurrency,
  results,
  tools,
  upstreams,
  memory,
];
