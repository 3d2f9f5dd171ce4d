import {
  Client,
  StreamableHTTPClientTransport,
  type SubscriptionFilter,
  type Transport,
} from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import * as z from "zod";
import type { JsonObject } from "../../../src/call.ts";
import { answerOf, failureOf, ProgressWatch, type MatrixClient, type Target } from "./client.ts";

/** The SDK finds out the era with a second process, but not for a transport that is not exactly its own. */
class OneProcess extends StdioClientTransport {}

const transportTo = (target: Target): Transport =>
  "url" in target
    ? new StreamableHTTPClientTransport(new URL(target.url))
    : new OneProcess({ ...target, args: [...target.args], stderr: "ignore" });

const anyResult = z.record(z.string(), z.unknown());

/** A client of the 2026-07-28 era alone, made with the reference SDK. */
export async function connect2026(target: Target, capabilities: JsonObject): Promise<MatrixClient> {
  const client = new Client(
    { name: "matrix-client-2026", version: "1.0.0" },
    { capabilities, versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  const notes: MatrixClient["notes"] = [];
  const asked: MatrixClient["asked"] = [];
  const answers: MatrixClient["answers"] = {};
  const progress = new ProgressWatch();
  client.setNotificationHandler("notifications/progress", ({ params }) => progress.take(params));
  client.fallbackNotificationHandler = ({ method, params = {} }) => {
    notes.push({ method, params });
    return Promise.resolve();
  };
  for (const method of ["roots/list", "sampling/createMessage", "elicitation/create"] as const) {
    if (capabilities[method.split("/")[0] ?? ""] === undefined) continue;
    client.setRequestHandler(method, ({ params }: { params?: JsonObject | undefined }) => {
      asked.push({ method, params: params ?? {} });
      return (answers[method]?.() ?? answerOf(method, params ?? {})) as never;
    });
  }
  await client.connect(transportTo(target));
  const listen = async (filter: SubscriptionFilter): Promise<() => Promise<void>> => {
    const subscription = await client.listen(filter);
    return () => subscription.close();
  };
  return {
    era: "2026",
    instructions: client.getInstructions(),
    capabilities: client.getServerCapabilities() as JsonObject,
    notes,
    asked,
    answers,
    request: (method, params = {}, { signal, onProgress } = {}) =>
      client
        .request({ method, params: progress.params(params, onProgress) }, anyResult, {
          ...(signal !== undefined && { signal }),
        })
        .catch((error: unknown) => Promise.reject(failureOf(error))),
    logging: (level, { _meta: meta, ...params }) =>
      Promise.resolve({
        ...params,
        _meta: { ...(meta as JsonObject), "io.modelcontextprotocol/logLevel": level },
      }),
    subscribe: (uri) => listen({ resourceSubscriptions: [uri] }),
    watchLists: (lists) =>
      listen(Object.fromEntries(lists.map((list) => [`${list}ListChanged`, true]))),
    notify: (method) => client.notification({ method }),
    close: () => client.close(),
  };
}
