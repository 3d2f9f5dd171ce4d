import type { JsonObject } from "../../../src/call.ts";

export type Era = "2025" | "2026";
export type Transport = "stdio" | "http";

export type ListName = "tools" | "prompts" | "resources";

/** Where a client finds its server. */
export type Target =
  | {
      readonly command: string;
      readonly args: readonly string[];
      readonly env?: Record<string, string>;
    }
  | { readonly url: string };

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: JsonObject) => void;
}

/** What a server or gateway answered a request with, where it was an error. */
export interface RpcFailure {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** A client of either era, so that what is checked is written once. */
export interface MatrixClient {
  readonly era: Era;
  readonly instructions: string | undefined;
  readonly capabilities: JsonObject;
  /** Every notification that came, in order, but for progress. */
  readonly notes: { readonly method: string; readonly params: JsonObject }[];
  /** How what the server asks is answered other than usual, by method; what is thrown is the client's error. */
  readonly answers: Record<string, () => JsonObject>;
  /** Everything that the server asked of the client, in order. */
  readonly asked: { readonly method: string; readonly params: JsonObject }[];
  /** Resolves with the result as it came; rejects with an `RpcFailure`. */
  request(method: string, params?: JsonObject, options?: CallOptions): Promise<JsonObject>;
  /** The `params` of a request whose server is to log from `level` on, once it is told if need be. */
  logging(level: string, params: JsonObject): Promise<JsonObject>;
  /** Asks to be told when a resource changes; resolves, once that is in force, with how to end it. */
  subscribe(uri: string): Promise<() => Promise<void>>;
  /** Asks to be told when these lists change, as far as its era has it; resolves as `subscribe` does. */
  watchLists(lists: readonly ListName[]): Promise<() => Promise<void>>;
  notify(method: string): Promise<void>;
  close(): Promise<void>;
}

/** What the client can do, and how it answers. */
export const capabilities = {
  roots: { listChanged: true },
  sampling: {},
  elicitation: { form: {}, url: {} },
  extensions: { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } },
};

export const answerOf = (method: string, params: JsonObject): JsonObject => {
  switch (method) {
    case "roots/list":
      return { roots: [{ uri: "file:///work", name: "work" }] };
    case "sampling/createMessage":
      return { role: "assistant", model: "a-model", content: { type: "text", text: "sampled" } };
    default:
      return params["mode"] === "url"
        ? { action: "accept" }
        : { action: "accept", content: { name: "Ada" } };
  }
};

/** The error of either SDK as it was on the wire. */
export function failureOf(error: unknown): RpcFailure {
  const { code, message, data } = error as RpcFailure;
  // The reference client does not look into an answer that has a status of its own.
  const text = typeof code === "string" ? (data as { text?: string } | undefined)?.text : undefined;
  if (text !== undefined) return (JSON.parse(text) as { error: RpcFailure }).error;
  const plain = message.replace(/^(?:MCP error -?\d+: )+/, "");
  return { code, message: plain, ...(data !== undefined && { data }) };
}

/** Progress by our own tokens: the SDKs lose what comes in one piece with the answer. */
export class ProgressWatch {
  readonly #watchers = new Map<string, (progress: JsonObject) => void>();

  /** The parameters of a request whose progress `onProgress` is to be told. */
  params(params: JsonObject, onProgress: CallOptions["onProgress"]): JsonObject {
    if (onProgress === undefined) return params;
    const progressToken = `token-${this.#watchers.size}`;
    this.#watchers.set(progressToken, onProgress);
    return { ...params, _meta: { ...(params["_meta"] as JsonObject), progressToken } };
  }

  /** Takes the parameters of a progress note. */
  take({ progressToken, ...progress }: JsonObject): void {
    this.#watchers.get(String(progressToken))?.(progress);
  }
}

/** Milliseconds after which what has not come will not come. */
const patience = 10_000;

/** Waits until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  const begun = performance.now();
  while (!condition()) {
    if (performance.now() - begun > patience)
      throw new Error(`never came true: ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
