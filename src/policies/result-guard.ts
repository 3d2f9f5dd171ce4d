import { isDeepStrictEqual } from "node:util";
import type { Call, Caller, JsonObject, Middleware, Result } from "../call.ts";
import { messageOf } from "../errors.ts";
import type { Report } from "../events.ts";
import type { Kept } from "../results/kept-results.ts";
import { isObject } from "../wire.ts";
import type { OptionsOf } from "./options.ts";
import type { ResultOptions } from "./result-options.ts";

/** Keeps a text for a caller, in pages of so many bytes. */
export type Keep = (text: string, caller: Caller, pageBytes: number) => Promise<Kept>;

/** What the guard against large results needs. */
export interface ResultGuardSurroundings {
  readonly optionsOf: OptionsOf<ResultOptions>;
  readonly keep: Keep;
  readonly report: Report;
  /** The tool that reads on, as clients call it. Default `holdfast__read_result`. */
  readonly readTool?: string;
}

/** A block of text in a result. */
interface TextBlock extends JsonObject {
  readonly text: string;
}

/**
 * Answers with the first page of a text that is larger than `maxBytes`, and where the rest is; the whole is kept on
 * disk. Structured content that is too large goes with it, unless the tool's outputSchema makes clients ask for it.
 * A result that cannot be kept passes as it is. Outside of everything but `observe`.
 */
export const resultGuard = ({
  optionsOf,
  keep,
  report,
  readTool = "holdfast__read_result",
}: ResultGuardSurroundings): Middleware => {
  let troubled = false;
  const shorten = async (call: Call, result: Result, large: Large): Promise<Result> => {
    try {
      const kept = await keep(large.text, call.caller, large.maxBytes);
      troubled = false;
      return firstPage(call, result, kept, large, readTool);
    } catch (error) {
      const problem = `a large result of ${nameOf(call)} is passed whole, since it cannot be kept: ${messageOf(error)}`;
      if (!troubled) report({ type: "gateway.problem", problem });
      troubled = true;
      return result;
    }
  };
  return (next) => (call) => {
    const options = optionsOf(call);
    if (options === false || options.maxBytes === 0) return next(call);
    return next(call).then((result) => {
      let large: Large | undefined;
      try {
        large = largeIn(call, result, options.maxBytes);
      } catch {
        return result; // nested too deep to be written; who passes it on will say so
      }
      return large === undefined ? result : shorten(call, result, large);
    });
  };
};

/** What of a result is too large. */
interface Large {
  readonly maxBytes: number;
  /** All of it, to be kept. */
  readonly text: string;
  /** Whether the structured content is left out, and whether `text` ends with it. */
  readonly structured: "none" | "stays" | "left out" | "in the text";
}

function largeIn(call: Call, result: Result, maxBytes: number): Large | undefined {
  const { content, structuredContent } = result;
  if (!Array.isArray(content)) return undefined;
  const texts = content.filter(isText).map(({ text }) => text);
  const json = mayDrop(call, result) ? JSON.stringify(structuredContent) : "";
  const drops = Buffer.byteLength(json) > maxBytes;
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes <= maxBytes && !drops) return undefined;
  const text = texts.join("\n");
  if (structuredContent === undefined) return { maxBytes, text, structured: "none" };
  if (!drops) return { maxBytes, text, structured: "stays" };
  if (texts.some((one) => says(one, structuredContent)))
    return { maxBytes, text, structured: "left out" };
  return { maxBytes, text: [...texts, json].join("\n"), structured: "in the text" };
}

/** Of a tool that declares an outputSchema, clients take no result without structured content, but for an error. */
const mayDrop = ({ tool }: Call, { structuredContent, isError }: Result): boolean =>
  structuredContent !== undefined &&
  (isError === true || (tool !== undefined && tool.definition["outputSchema"] === undefined));

/** Whether a text is that value as JSON. */
function says(text: string, value: unknown): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(text), value);
  } catch {
    return false;
  }
}

function firstPage(call: Call, result: Result, kept: Kept, large: Large, readTool: string): Result {
  const { content, structuredContent, _meta: meta, ...rest } = result;
  const { id, uri, bytes, pages, pageBytes, first } = kept;
  const blocks = content as unknown[];
  const text = { ...blocks.find(isText), type: "text", text: first };
  const note = `This is page 1 of ${pages}: the first ${Buffer.byteLength(first)} of ${bytes} bytes. To read on, call ${readTool} with ${JSON.stringify({ id, page: 2 })}.${aboutStructured[large.structured]}`;
  const link = {
    type: "resource_link",
    uri,
    name: `the whole result of ${nameOf(call)}`,
    mimeType: "text/plain",
    size: bytes,
  };
  const stays = large.structured === "stays";
  return {
    ...rest,
    content: [
      text,
      ...blocks.filter((block) => !isText(block)),
      { type: "text", text: note },
      link,
    ],
    ...(stays && { structuredContent }),
    _meta: {
      ...(isObject(meta) && meta),
      "holdfast/result": { id, bytes, pages, pageBytes },
    },
  };
}

const aboutStructured: Readonly<Record<Large["structured"], string>> = {
  none: "",
  stays: " The structured content is complete.",
  "left out": " The structured content, which says the same, is left out.",
  "in the text": " The structured content is left out; the last of the pages end with it.",
};

const nameOf = ({ tool, method }: Call): string => tool?.name ?? method;

const isText = (block: unknown): block is TextBlock =>
  isObject(block) && block["type"] === "text" && typeof block["text"] === "string";
