import type { JsonObject } from "../../../src/call.ts";
import { textOf } from "../raw-client.ts";
import type { CallOptions, Era, MatrixClient, RpcFailure, Transport } from "./client.ts";

/** One client, one server, and how each is reached; without a `front` there is no gateway between them. */
export interface Cell {
  readonly client: Era;
  readonly front?: Transport;
  readonly server: Era;
  readonly back: Transport;
}

export const nameOf = ({ client, front, server, back }: Cell): string =>
  front === undefined
    ? `a client of ${client} at a server of ${server} by ${back}`
    : `a client of ${client} by ${front}, through the gateway, at a server of ${server} by ${back}`;

const eras: readonly Era[] = ["2025", "2026"];
const transports: readonly Transport[] = ["stdio", "http"];

/** Without the gateway, so that it is the gateway that is tested, and not the servers and clients of these tests. */
export const direct: readonly Cell[] = eras.flatMap((era) =>
  transports.map((back) => ({ client: era, server: era, back })),
);

/** Every client at every server, all of one client's together. */
export const through: readonly (readonly Cell[])[] = eras.flatMap((client) =>
  transports.map((front) =>
    eras.flatMap((server) => transports.map((back) => ({ client, front, server, back }))),
  ),
);

/** What tells one server's names from another's. */
export const idOf = ({ server, back }: Pick<Cell, "server" | "back">): string =>
  `${back}${server.slice(2)}`;

/** What a check works with. */
export class Bench {
  readonly cell: Cell;
  readonly client: MatrixClient;
  /** Of the server. */
  readonly id: string;
  readonly #prefix: string;

  constructor(cell: Cell, client: MatrixClient) {
    this.cell = cell;
    this.client = client;
    this.id = idOf(cell);
    this.#prefix = cell.front === undefined ? "" : `${this.id}__`;
  }

  /** A tool's or prompt's name as the client knows it. */
  name(own: string): string {
    return this.#prefix + own;
  }

  /** Calls a tool of the server. */
  call(name: string, args: JsonObject = {}, options?: CallOptions): Promise<JsonObject> {
    return this.request("tools/call", { name: this.name(name), arguments: args }, options);
  }

  /** The text of what a tool answers, read as JSON. */
  async callForJson(name: string, args: JsonObject): Promise<JsonObject> {
    const result = await this.call(name, args);
    if (result["isError"] === true) throw new Error(textOf(result));
    return JSON.parse(textOf(result)) as JsonObject;
  }

  /** The result without what the protocol's machinery adds to it. */
  async request(method: string, params: JsonObject, options?: CallOptions): Promise<JsonObject> {
    return withoutMachinery(await this.client.request(method, params, options));
  }

  /** What a request is refused with. */
  async refusal(method: string, params: JsonObject): Promise<RpcFailure> {
    const result = await this.client.request(method, params).catch((error: unknown) => ({ error }));
    if (!("error" in result)) throw new Error(`answered: ${JSON.stringify(result)}`);
    return result.error as RpcFailure;
  }

  /** All pages of a list, less what is not the server's, with the names that the server gave. */
  async list(method: string, member: string): Promise<JsonObject[]> {
    const items: JsonObject[] = [];
    let cursor: unknown;
    do {
      const page = await this.request(method, cursor === undefined ? {} : { cursor });
      items.push(...(page[member] as JsonObject[]));
      cursor = page["nextCursor"];
    } while (cursor !== undefined);
    return items.flatMap((item) => {
      const { name, uri, uriTemplate } = item as Record<string, string>;
      const where = uri ?? uriTemplate;
      if (where !== undefined) return where.includes(`//${this.id}/`) ? [item] : [];
      if (name?.startsWith(this.#prefix) !== true) return [];
      return [{ ...item, name: name.slice(this.#prefix.length) }];
    });
  }
}

/** Kept by the newer era alone, and not by whoever made the result. */
function withoutMachinery(result: JsonObject): JsonObject {
  const { ttlMs: _, cacheScope: __, _meta: meta, ...rest } = result;
  if (meta === undefined) return rest;
  const { "io.modelcontextprotocol/serverInfo": ___, ...kept } = meta as JsonObject;
  return Object.keys(kept).length === 0 ? rest : { ...rest, _meta: kept };
}
