import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ProgressNotificationSchema, ResultSchema } from "@modelcontextprotocol/sdk/types.js";
import type { JsonObject } from "../../../src/call.ts";
import { answerOf, failureOf, ProgressWatch, type MatrixClient, type Target } from "./client.ts";

const transportTo = (target: Target): Transport =>
  "url" in target
    ? new StreamableHTTPClientTransport(new URL(target.url))
    : new StdioClientTransport({ ...target, args: [...target.args], stderr: "ignore" });

/** A client of the 2025 era, made with its SDK. */
export async function connect2025(target: Target, capabilities: JsonObject): Promise<MatrixClient> {
  const client = new Client({ name: "matrix-client-2025", version: "1.0.0" }, { capabilities });
  const notes: MatrixClient["notes"] = [];
  const asked: MatrixClient["asked"] = [];
  const answers: MatrixClient["answers"] = {};
  const progress = new ProgressWatch();
  client.setNotificationHandler(ProgressNotificationSchema, ({ params }) => progress.take(params));
  client.fallbackNotificationHandler = ({ method, params = {} }) => {
    notes.push({ method, params });
    return Promise.resolve();
  };
  client.fallbackRequestHandler = ({ method, params = {} }) => {
    asked.push({ method, params });
    return Promise.resolve().then(() => answers[method]?.() ?? answerOf(method, params));
  };
  const transport = transportTo(target);
  await client.connect(transport);
  let level: string | undefined;
  const request: MatrixClient["request"] = (method, params = {}, { signal, onProgress } = {}) =>
    client
      .request({ method, params: progress.params(params, onProgress) }, ResultSchema, {
        ...(signal !== undefined && { signal }),
      })
      .catch((error: unknown) => Promise.reject(failureOf(error)));
  return {
    era: "2025",
    instructions: client.getInstructions(),
    capabilities: client.getServerCapabilities() as JsonObject,
    notes,
    asked,
    answers,
    request,
    async logging(wanted, params) {
      if (level !== wanted) await request("logging/setLevel", { level: wanted });
      level = wanted;
      return params;
    },
    async subscribe(uri) {
      await request("resources/subscribe", { uri });
      return async () => void (await request("resources/unsubscribe", { uri }));
    },
    watchLists: () => Promise.resolve(() => Promise.resolve()),
    notify: (method) => client.notification({ method }),
    async close() {
      if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession();
      await client.close();
    },
  };
}
