import type { Lists } from "../call.ts";
import { isObject } from "../wire.ts";
import {
  flag,
  fraction,
  label,
  listOf,
  number,
  objectOf,
  oneOf,
  text,
  time,
  type Mend,
} from "./mend.ts";
import { inputSchema, outputSchema, type CompileError } from "./schemas.ts";

/*
 * What hosts are known to take. Many read a list as the MCP SDK does: one member of a wrong type, in one item,
 * and they have none of the list. Some also refuse all tools of a server for an input schema that is no object
 * schema, for `anyOf`, `oneOf` or `allOf` at its top, for a property name that a provider does not take, and for
 * an output schema that does not compile. Arguments are still checked by the tool's own server.
 */

const icon = objectOf(
  { mimeType: text, sizes: listOf(text), theme: oneOf("light", "dark") },
  { src: text },
);

const common = { title: text, description: text, icons: listOf(icon), _meta: objectOf({}) };

const annotations = objectOf({
  audience: listOf(oneOf("user", "assistant")),
  priority: fraction,
  lastModified: time,
});

const toolMembers = {
  ...common,
  annotations: objectOf({
    title: text,
    readOnlyHint: flag,
    destructiveHint: flag,
    idempotentHint: flag,
    openWorldHint: flag,
  }),
  execution: objectOf({ taskSupport: oneOf("required", "optional", "forbidden") }),
};

function tool(compileError: CompileError): Mend {
  const members = objectOf(
    { ...toolMembers, outputSchema: outputSchema(compileError) },
    { name: label },
  );
  return (value, path, problems) => {
    const mended = members(value, path, problems);
    if (!isObject(mended)) return undefined;
    const input = inputSchema(mended["inputSchema"], "its inputSchema", problems);
    if (input === mended["inputSchema"]) return mended;
    return input === undefined ? undefined : { ...mended, inputSchema: input };
  };
}

const argument = objectOf({ title: text, description: text, required: flag }, { name: text });

const prompt = objectOf({ ...common, arguments: listOf(argument) }, { name: text });

const resourceMembers = { ...common, mimeType: text, annotations };

const resource = objectOf({ ...resourceMembers, size: number }, { name: text, uri: text });

const resourceTemplate = objectOf(resourceMembers, { name: text, uriTemplate: text });

/** Levels of an item. Hosts written in Rust read 128 in a message, four of which are around the item. */
const deepest = 124;

/** Whether JSON.stringify writes it as it is: a number too large for us would become null. */
const canBeWritten = (value: unknown, levels: number): boolean =>
  typeof value === "object" && value !== null
    ? levels > 0 && Object.values(value).every((inner) => canBeWritten(inner, levels - 1))
    : typeof value !== "number" || Number.isFinite(value);

/** What cannot be written is not looked at any further: it cannot even be shown. */
const written =
  (mend: Mend): Mend =>
  (value, path, problems) => {
    if (canBeWritten(value, deepest)) return mend(value, path, problems);
    problems.push(`is left out: it has over ${deepest} levels, or a number that is too large`);
    return undefined;
  };

/** Makes the items of each list such that no host drops the others for their sake. */
export const sanitisers = (compileError: CompileError): Readonly<Record<keyof Lists, Mend>> => ({
  tools: written(tool(compileError)),
  prompts: written(prompt),
  resources: written(resource),
  resourceTemplates: written(resourceTemplate),
});
