import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import type { JsonObject } from "../../src/call.ts";

/** A response that keeps what is written to it. */
export class FakeResponse extends EventEmitter {
  status = 0;
  headers: JsonObject = {};
  text = "";
  headersSent = false;
  destroyed = false;
  writableEnded = false;
  /** Bytes that the client has not read. */
  writableLength = 0;
  readonly #written: ((error?: Error) => void)[] = [];

  writeHead(status: number, headers: JsonObject = {}): this {
    this.status = status;
    this.headers = headers;
    this.headersSent = true;
    return this;
  }

  flushHeaders(): void {}

  write(chunk: string | Buffer, taken?: (error?: Error) => void): boolean {
    this.text += String(chunk);
    if (taken !== undefined) this.#written.push(taken);
    return true;
  }

  /** The client's connection takes what was written. */
  take(): void {
    for (const taken of this.#written.splice(0)) taken();
  }

  end(chunk: string | Buffer = ""): this {
    this.text += String(chunk);
    this.writableEnded = true;
    this.emit("close");
    return this;
  }

  /** As a connection that broke. */
  destroy(): this {
    this.destroyed = true;
    this.emit("close");
    return this;
  }

  /** What came as events: the messages, and the ids of all events. */
  get events(): { messages: unknown[]; ids: (string | undefined)[] } {
    const events = this.text.split("\n\n").filter((event) => /^(id|event)/.test(event));
    return {
      messages: events.flatMap((event): unknown => {
        const data = /^data: (.+)$/m.exec(event)?.[1];
        return data === undefined ? [] : [JSON.parse(data)];
      }),
      ids: events.map((event) => /^id: (.*)$/m.exec(event)?.[1]),
    };
  }

  /** As what it stands for. */
  get response(): ServerResponse {
    return this as unknown as ServerResponse;
  }
}
