import { distance } from "fastest-levenshtein";
import { UsageError } from "./output.ts";

const mostShown = 3;

/** The error for a name that is not there, with the nearest of those that are. `what`: such as `tool`. */
export function unknownName(what: string, name: string, names: Iterable<string>): UsageError {
  const nearest = [...names]
    .toSorted((a, b) => distance(a, name) - distance(b, name))
    .slice(0, mostShown);
  const others = nearest.length === 0 ? "there are none" : `the nearest are ${nearest.join(", ")}`;
  return new UsageError(`there is no ${what} ${JSON.stringify(name)}; ${others}`);
}
