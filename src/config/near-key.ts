import { distance } from "fastest-levenshtein";

/** Letters. Two slips make a shorter word, or one that begins otherwise, another word. */
const longWord = 6;
/** A longer one is no slip, and the time that it takes to find out grows with the square of the length. */
const longestKey = 100;

/** The known key for which `key` is a slip of the pen. */
export function nearKey(key: string, known: readonly string[]): string | undefined {
  if (key.length > longestKey) return undefined;
  const [near = ""] = known.toSorted((a, b) => slips(key, a) - slips(key, b));
  const alike = near[0] === key[0] && Math.min(near.length, key.length) >= longWord;
  return slips(key, near) <= (alike ? 2 : 1) ? near : undefined;
}

/** Letters that are too many, too few or wrong; two neighbours in the wrong order are one slip. */
const slips = (key: string, right: string): number =>
  isSwapped(key, right) ? 1 : distance(key, right);

const isSwapped = (key: string, right: string): boolean =>
  Array.from(key).some(
    (letter, at) => `${key.slice(0, at)}${key[at + 1]}${letter}${key.slice(at + 2)}` === right,
  );
