/**
 * What the client of each client scenario does, once it is connected to the scenario's server through Holdfast. The
 * context is what the scenario gives its client, if anything.
 */
export const scenarios = {
  initialize: (client) => client.request("tools/list"),
  "request-metadata": (client) => client.request("tools/list"),
  "json-schema-ref-no-deref": (client) => client.request("tools/list"),
  tools_call: (client) => client.call("add_numbers", { a: 5, b: 3 }),
  "elicitation-sep1034-client-defaults": (client) =>
    client.call("test_client_elicitation_defaults"),
  "sse-retry": (client) => client.call("test_reconnection"),
  "sep-2322-client-request-state": async (client) => {
    await Promise.all([client.call("test_mrtr_echo_state"), client.call("test_mrtr_unrelated")]);
    await client.call("test_mrtr_no_state");
    await client.call("test_mrtr_no_result_type");
  },
  "http-standard-headers": async (client) => {
    for (const { name } of (await client.request("tools/list")).tools) await client.call(name);
    for (const { uri } of (await client.request("resources/list")).resources)
      await client.request("resources/read", { uri });
    for (const { name } of (await client.request("prompts/list")).prompts)
      await client.request("prompts/get", { name });
  },
  "http-custom-headers": async (client, { toolCalls }) => {
    for (const { name, arguments: args } of toolCalls) await client.call(name, args);
  },
  "http-invalid-tool-headers": async (client) => {
    for (const { name } of (await client.request("tools/list")).tools)
      await client.call(name, { region: "us-west1" });
  },
  "json-schema-2020-12-preservation": async (client) => {
    const { tools } = await client.request("tools/list");
    const { inputSchema } = tools.find(({ name }) => name === "json_schema_2020_12_tool");
    await client.call("json_schema_echo", { schema: inputSchema });
  },
};
