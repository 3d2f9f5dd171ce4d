/**
 * What is done with the server of a client scenario that wants more than a call of each tool, by the scenario's name.
 */
export const scenarios = {
  initialize: (gateway) => gateway.list("tools"),
  "request-metadata": (gateway) => gateway.list("tools"),
  "json-schema-ref-no-deref": (gateway) => gateway.tools(),
  async tools_call(gateway) {
    await gateway.tools();
    await gateway.call("add_numbers", { a: 5, b: 3 });
  },
  async "sep-2322-client-request-state"(gateway) {
    await gateway.tools();
    await Promise.all([gateway.call("test_mrtr_echo_state"), gateway.call("test_mrtr_unrelated")]);
    await gateway.call("test_mrtr_no_state");
    await gateway.call("test_mrtr_no_result_type");
  },
  async "http-standard-headers"(gateway) {
    await gateway.useAll();
    for (const { uri } of await gateway.list("resources"))
      await gateway.request("resources/read", { uri });
    for (const { name } of await gateway.list("prompts"))
      await gateway.request("prompts/get", { name });
  },
  async "http-custom-headers"(gateway) {
    await gateway.tools();
    const { toolCalls } = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT);
    for (const { name, arguments: args } of toolCalls) await gateway.call(name, args);
  },
  async "http-invalid-tool-headers"(gateway) {
    for (const { name } of await gateway.tools()) await gateway.call(name, { region: "us-west1" });
  },
  async "json-schema-2020-12-preservation"(gateway) {
    const tools = await gateway.tools();
    const { inputSchema } = tools.find(({ name }) => name === "json_schema_2020_12_tool");
    await gateway.call("json_schema_echo", { schema: inputSchema });
  },
};
