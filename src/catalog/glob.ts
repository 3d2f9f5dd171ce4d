/**
 * Whether a text matches a pattern, in which `*` stands for any characters and `?` for one. Takes time in
 * proportion to both lengths at worst: only the last `*` is ever tried again, since what the ones before it
 * took can stay as short as it was.
 */
export function matches(pattern: string, text: string): boolean {
  const wanted = Array.from(pattern);
  const letters = Array.from(text);
  let at = 0;
  let star = -1;
  let retry = 0;
  for (let next = 0; next < letters.length;) {
    if (wanted[at] === "*") {
      star = at++;
      retry = next;
    } else if (wanted[at] === "?" || wanted[at] === letters[next]) {
      at++;
      next++;
    } else if (star === -1) return false;
    else {
      at = star + 1;
      next = ++retry;
    }
  }
  return wanted.slice(at).every((letter) => letter === "*");
}

export const matchesAny = (patterns: readonly string[], text: string): boolean =>
  patterns.some((pattern) => matches(pattern, text));
