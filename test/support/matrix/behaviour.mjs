// How the servers of the matrix answer, the same in both eras. What differs between them is in `around`:
//   meta       what came as `_meta`, without what belongs to the era
//   client     what the client can do
//   signal     aborted when the client has cancelled
//   progress   (params) → tells progress
//   log        (level, data) → a log message
//   ask        ([{key: {method, params}, …}, …]) → what the client answered, by key; each element is one round
import { Buffer } from "node:buffer";
import { extras, kinds, promptsOf, resourcesOf, templatesOf, toolsOf } from "./contents.mjs";

const pageSize = 4;
const text = (value) => ({
  content: [{ type: "text", text: typeof value === "string" ? value : JSON.stringify(value) }],
});
const rpcError = (code, message, data) => Object.assign(new Error(message), { code, data });
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

/**
 * The requests of clients to one server, as `(method, params, around) → result`. `world` is what its processes have
 * in common; `tell` has `updated(uri)`, a resource has changed, and `changed()`, all lists have changed.
 */
export function behaviourOf(id, world, tell) {
  let hasExtras = false;
  /** Who waits for something to happen. */
  const waiting = new Set();
  world.listen(({ updated, extra }) => {
    if (updated !== undefined) tell.updated(updated);
    if (extra !== undefined && extra !== hasExtras) {
      hasExtras = extra;
      tell.changed();
    }
    for (const look of waiting) look();
  });

  const call = {
    echo: ({ arguments: given }, { meta }) => ({
      ...text(given ?? null),
      _meta: { "example.com/heard": meta ?? null },
    }),
    client: (_, { client }) => text(client),
    sum: ({ arguments: { a, b } }) => ({
      ...text({ sum: a + b }),
      structuredContent: { sum: a + b },
    }),
    kinds: () => kinds(id),
    refuse: () => ({ ...text("I refuse"), isError: true }),
    fail() {
      throw rpcError(-31000, "It failed", { why: ["on", "purpose"] });
    },
    async steps(_, { progress }) {
      for (const step of [1, 2, 3]) {
        await progress({ progress: step, total: 3, message: `step ${step}` });
        await pause();
      }
      return text("done");
    },
    async log(_, { log }) {
      for (const level of ["debug", "info", "error"]) await log(level, { said: level });
      return text("logged");
    },
    hang({ arguments: { key } }, { signal }) {
      signal.addEventListener("abort", () => world.add({ cancelled: key }));
      world.add({ hanging: key });
      return new Promise(() => {});
    },
    happened: ({ arguments: event }) =>
      new Promise((resolve) => {
        const look = () => {
          if (!world.has(event)) return;
          waiting.delete(look);
          resolve(text("yes"));
        };
        waiting.add(look);
        look();
      }),
    ask: async ({ arguments: { rounds } }, { ask }) => text(await ask(rounds)),
    touch({ arguments: { uri } }) {
      world.add({ updated: uri });
      return text("touched");
    },
    change({ arguments: { extra } }) {
      world.add({ extra });
      return text("changed");
    },
    big: () => text("x".repeat(1024 * 1024)),
    board: () => text("the board"),
    [`move_${id}`]: ({ arguments: given }) => text(["moved", given]),
  };

  const pageOf = (method, member, items) => {
    const all = hasExtras && extras(id)[method] ? [...items, extras(id)[method]] : items;
    return ({ cursor }) => {
      const at = cursor === undefined ? 0 : Number(/^page-(\d+)$/.exec(cursor)?.[1]);
      if (Number.isNaN(at)) throw rpcError(-32602, `Unknown cursor: ${cursor}`);
      const next = at + pageSize;
      return {
        [member]: all.slice(at, next),
        ...(next < all.length && { nextCursor: `page-${next}` }),
      };
    };
  };
  const list = (method, member, items) => (params) => pageOf(method, member, items)(params);

  const contentsOf = (uri) => {
    const own = { uri, _meta: { "example.com/read": true } };
    const item = /\/item\/(\d+)$/.exec(uri);
    if (item) return { ...own, mimeType: "text/plain", text: `item ${item[1]}` };
    switch (uri) {
      case `matrix://${id}/text`:
        return { ...own, mimeType: "text/plain", text: "hello" };
      case `matrix://${id}/blob`:
        return { ...own, blob: Buffer.from("blob").toString("base64") };
      case `matrix://${id}/hidden`:
        return { ...own, text: "found by its link" };
      case `ui://${id}/board`:
        return {
          ...own,
          mimeType: "text/html;profile=mcp-app",
          text: "<p>board</p>",
          _meta: { ui: { prefersBorder: true } },
        };
      default:
        throw rpcError(-32002, `Resource not found: ${uri}`, { uri });
    }
  };

  const message = (role, value) => ({ role, content: { type: "text", text: value } });
  const prompt = {
    plain: () => ({ description: "plain", messages: [message("user", "plain")] }),
    greet: ({ who, how = "Hello" }) => ({
      messages: [message("user", `${how}, ${who}`), message("assistant", "Hi")],
      _meta: { "example.com/prompt": true },
    }),
    async asking(_, { ask }) {
      const { name } = await ask([{ name: form("Your name?") }]);
      return { messages: [message("user", `I am ${name.content.name}`)] };
    },
  };

  const completions = { who: ["Ada", "Alan", "Grace"], number: ["1", "12", "2"] };

  const methods = {
    "tools/list": list("tools/list", "tools", toolsOf(id)),
    "prompts/list": list("prompts/list", "prompts", promptsOf()),
    "resources/list": list("resources/list", "resources", resourcesOf(id)),
    "resources/templates/list": list("", "resourceTemplates", templatesOf(id)),
    "tools/call": (params, around) => {
      if (!Object.hasOwn(call, params.name))
        throw rpcError(-32602, `Tool ${params.name} not found`);
      return call[params.name](params, around);
    },
    "prompts/get": ({ name, arguments: given }, around) => {
      if (!Object.hasOwn(prompt, name)) throw rpcError(-32602, `Prompt ${name} not found`);
      return prompt[name](given ?? {}, around);
    },
    "resources/read": ({ uri }) => ({ contents: [contentsOf(uri)] }),
    "completion/complete": ({ argument: { name, value }, context }) => {
      const values = (completions[name] ?? []).filter((one) => one.startsWith(value));
      const known = Object.values(context?.arguments ?? {});
      return {
        completion: { values: [...values, ...known], total: values.length, hasMore: false },
      };
    },
  };

  return async (method, params, around) => {
    if (!Object.hasOwn(methods, method)) throw rpcError(-32601, `Method not found: ${method}`);
    return methods[method](params ?? {}, around);
  };
}

/** A request for a form with a name. */
const form = (message) => ({
  method: "elicitation/create",
  params: {
    mode: "form",
    message,
    requestedSchema: { type: "object", properties: { name: { type: "string" } } },
  },
});
