import { Problem } from "./error.ts";
import { maxExpressionLength } from "./limits.ts";

/** A part of a string: text as it is, or an expression. */
export type Piece = { readonly text: string } | { readonly expression: string };

/**
 * Takes a string apart. `${{ … }}` is an expression, `$${{` the text `${{`. Braces and quotes inside
 * of an expression are seen as CEL sees them, so `${{ {"a": {"b": 1}} }}` is one.
 */
export function piecesOf(string: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let text = "";
  let from = 0;
  for (;;) {
    const open = string.indexOf("${{", from);
    if (open < 0) break;
    if (open > from && string[open - 1] === "$") {
      text += `${string.slice(from, open - 1)}\${{`;
      from = open + 3;
      continue;
    }
    text += string.slice(from, open);
    if (text !== "") pieces.push({ text });
    text = "";
    const end = endOf(string, open + 3);
    pieces.push({ expression: string.slice(open + 3, end) });
    from = end + 2;
  }
  text += string.slice(from);
  if (text !== "" || pieces.length === 0) pieces.push({ text });
  return pieces;
}

/** Texts and comments, which can hold any brace, and braces. A text that is not closed ends somewhere, too. */
const token =
  /"""(?:\\[^]|[^\\])*?(?:"""|$)|'''(?:\\[^]|[^\\])*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|\/\/.*|\{|\}\}|\}/g;

/** Where the `}}` is that closes the expression which starts at `start`. */
function endOf(string: string, start: number): number {
  const searched = string.slice(start, start + maxExpressionLength + 2);
  token.lastIndex = 0;
  let depth = 0;
  for (let match = token.exec(searched); match !== null; match = token.exec(searched)) {
    const [found] = match;
    if (found === "{") depth += 1;
    if (!found.startsWith("}")) continue;
    if (found === "}}" && depth === 0) return start + match.index;
    depth = Math.max(0, depth - 1);
    token.lastIndex = match.index + 1;
  }
  throw new Problem(
    `a \${{ is not closed by }} within ${maxExpressionLength} characters; to mean the text itself write $\${{`,
  );
}
