/** Shorter values are not taken for secrets: they would be found in any text. */
const shortest = 6;
const mask = "[secret]";

/** Names of variables and headers whose values are secrets. */
const secretName = /token|key|secret|passw|auth|credential|cookie|session|dsn|database_url/i;

/** The secrets among named values, such as a server's environment or headers. */
export const secretsOf = (values: Readonly<Record<string, string>>): string[] =>
  Object.entries(values)
    .filter(([name, value]) => secretName.test(name) && value.length >= shortest)
    // `Bearer abc`: the word alone is no secret, what follows it is.
    .flatMap(([, value]) => [value, ...value.split(/\s+/).filter((part) => part.length > 12)]);

/** Takes known secrets out of a text, as they are and as they stand in JSON. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  const forms = new Set(secrets.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]));
  // Longest first, so that no part of a longer secret is left over.
  const ordered = [...forms].toSorted((a, b) => b.length - a.length);
  // Most texts hold none, and to look for one takes a tenth of a replacement.
  return (text) =>
    ordered.reduce(
      (rest, secret) => (rest.includes(secret) ? rest.replaceAll(secret, mask) : rest),
      text,
    );
}
