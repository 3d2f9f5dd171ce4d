// The tools of the servers that gateways are measured with.

const text = { type: "string" };
const object = (properties, required = Object.keys(properties)) => ({
  type: "object",
  properties,
  required,
});

/** As long, and of the same shape, as tools of real servers are. */
const filler = (n) => ({
  name: `${["search", "get", "list", "create", "update"][n % 5]}_records_${n}`,
  title: `Operation ${n}`,
  description:
    `Finds or changes records of kind ${n}. Use it where the user names a record or describes one. ` +
    "Results come by relevance, at most `limit` at a time, as JSON with id, title, state and updatedAt.",
  inputSchema: {
    ...object(
      {
        query: { ...text, description: "Words, or field:value.", minLength: 1, maxLength: 512 },
        state: { ...text, enum: ["open", "closed", "archived", "all"], default: "open" },
        limit: { type: "integer", minimum: 1, maximum: 100, default: 20, description: "How many." },
        labels: { type: "array", items: text, description: "Records that have all of these." },
        range: object({ from: { ...text, format: "date-time" }, to: text }, ["from"]),
      },
      ["query"],
    ),
    additionalProperties: false,
  },
  annotations: { readOnlyHint: n % 5 < 3, openWorldHint: true },
});

const measuring = [
  { name: "echo", description: "Returns its text.", inputSchema: object({ text }) },
  {
    name: "look_up",
    description: "Returns its text, and changes nothing.",
    inputSchema: object({ text }),
    annotations: { readOnlyHint: true },
  },
  {
    name: "payload",
    description: "Returns a text of so many bytes.",
    inputSchema: object({ bytes: { type: "integer" } }),
  },
];

/** So many tools: those that are called, and others. */
export const makeTools = (count) => [
  ...measuring,
  ...Array.from({ length: Math.max(0, count - measuring.length) }, (_, n) => filler(n)),
];

const line = '{"id": 1234567, "title": "A record with a title", "state": "open"}\n';
const payloads = new Map();

/** Text with as many quotes as JSON in text has. */
function payload(bytes) {
  if (!payloads.has(bytes))
    payloads.set(bytes, line.repeat(Math.ceil(bytes / line.length)).slice(0, bytes));
  return payloads.get(bytes);
}

/** The result of a tool's call; undefined: there is no such tool. */
export function callTool(name, given) {
  if (name === "echo" || name === "look_up")
    return { content: [{ type: "text", text: given.text }] };
  if (name === "payload") return { content: [{ type: "text", text: payload(given.bytes) }] };
}
