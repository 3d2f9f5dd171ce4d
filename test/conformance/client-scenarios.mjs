/** What is done with the server in scenarios that want more than a call of each tool. */
export const scenarios = {
  initialize: (gateway) => gateway.listed(),
  tools_call: (gateway) => gateway.call("add_numbers", { a: 5, b: 3 }),
  async "json-schema-2020-12-preservation"(gateway) {
    const tools = await gateway.tools();
    const { inputSchema } = tools.find(({ name }) => name !== "json_schema_echo");
    await gateway.call("json_schema_echo", { schema: inputSchema });
  },
};
