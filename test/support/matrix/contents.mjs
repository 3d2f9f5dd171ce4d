// What the servers of the matrix offer, the same in both eras. `id` tells one server's URIs and app from another's.

const object = (properties = {}, more = {}) => ({ type: "object", properties, ...more });
const icons = [{ src: "data:image/png;base64,aWNvbg==", mimeType: "image/png", sizes: ["16x16"] }];

/** What says of itself more than it needs to; a gateway passes on all of it. */
const described = {
  title: "A title",
  description: "A description",
  icons,
  annotations: { readOnlyHint: true, openWorldHint: false },
  _meta: { "example.com/kept": { deep: [1, null] } },
};

export const toolsOf = (id) => [
  { name: "echo", ...described, annotations: { title: "Echo" }, inputSchema: object() },
  {
    name: "sum",
    ...described,
    inputSchema: object({ a: { type: "number" }, b: { type: "number" } }, { required: ["a", "b"] }),
    outputSchema: object({ sum: { type: "number" } }, { required: ["sum"] }),
  },
  { name: "client", inputSchema: object() },
  { name: "kinds", inputSchema: object() },
  { name: "refuse", inputSchema: object() },
  { name: "fail", inputSchema: object() },
  { name: "steps", inputSchema: object() },
  { name: "log", inputSchema: object() },
  { name: "hang", inputSchema: object({ key: { type: "string" } }) },
  { name: "happened", inputSchema: object() },
  { name: "ask", inputSchema: object({ rounds: { type: "array" } }) },
  { name: "touch", inputSchema: object({ uri: { type: "string" } }) },
  { name: "change", inputSchema: object({ extra: { type: "boolean" } }) },
  { name: "big", inputSchema: object() },
  {
    name: "board",
    inputSchema: object(),
    _meta: { ui: { resourceUri: `ui://${id}/board` } },
  },
  {
    name: `move_${id}`,
    inputSchema: object(),
    _meta: { ui: { resourceUri: `ui://${id}/board`, visibility: ["app"] } },
  },
];

export const resourcesOf = (id) => [
  { uri: `matrix://${id}/text`, name: "text", mimeType: "text/plain", size: 5, ...described },
  { uri: `matrix://${id}/blob`, name: "blob", mimeType: "application/octet-stream" },
  { uri: `ui://${id}/board`, name: "board", mimeType: "text/html;profile=mcp-app" },
];

export const templatesOf = (id) => [
  { uriTemplate: `matrix://${id}/item/{number}`, name: "item", ...described },
];

export const promptsOf = () => [
  { name: "plain", ...described, annotations: undefined },
  {
    name: "greet",
    arguments: [
      { name: "who", description: "Whom", required: true },
      { name: "how", title: "How" },
    ],
  },
  { name: "asking", description: "Asks the client for a name" },
];

/** What `change` adds to each list. */
export const extras = (id) => ({
  "tools/list": { name: "extra", inputSchema: object() },
  "prompts/list": { name: "extra" },
  "resources/list": { uri: `matrix://${id}/extra`, name: "extra" },
});

/** A result with every kind of content, and more than the protocol knows. */
export const kinds = (id) => ({
  content: [
    {
      type: "text",
      text: "text",
      annotations: { audience: ["user"], priority: 0.5, lastModified: "2026-01-01T00:00:00Z" },
      _meta: { "example.com/block": 1 },
    },
    { type: "image", data: "aW1hZ2U=", mimeType: "image/png" },
    { type: "audio", data: "YXVkaW8=", mimeType: "audio/wav" },
    {
      type: "resource",
      resource: { uri: `matrix://${id}/text`, mimeType: "text/plain", text: "hello" },
    },
    { type: "resource", resource: { uri: `matrix://${id}/blob`, blob: "YmxvYg==" } },
    {
      type: "resource_link",
      uri: `matrix://${id}/hidden`,
      name: "hidden",
      title: "Hidden",
      icons,
      "x-kept": true,
    },
  ],
  structuredContent: { list: [1, "two", { three: null }] },
  "x-kept": { of: "the result" },
  _meta: { "example.com/result": true },
});
