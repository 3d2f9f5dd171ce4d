import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, protocolVersion } from "./client.mjs";
import { lineReader } from "./lines.mjs";

/** What the two HTTP transports share: connections that are kept, and POST. */
class PostingClient extends Client {
  #agent = new http.Agent({ keepAlive: true, maxSockets: 1024 });

  /** Calls `onResponse` with a response that is no error. */
  post(path, headers, message, onResponse) {
    const body = JSON.stringify(message);
    const request = http.request(
      {
        host: this.url.hostname,
        port: this.url.port,
        path,
        method: "POST",
        agent: this.#agent,
        headers: {
          ...headers,
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
        },
      },
      (response) => {
        if (response.statusCode < 400) return onResponse(response);
        response.resume();
        this.fail(message.id, `HTTP ${response.statusCode}`);
      },
    );
    request.on("error", (error) => this.fail(message.id, error.message));
    request.end(body);
  }

  async close() {
    this.#agent.destroy();
    await super.close();
  }
}

/** Streamable HTTP; an answer is JSON or a stream of events. */
export class HttpClient extends PostingClient {
  #session;

  async connect() {
    this.child.stdout.resume();
  }

  /** Tries until the port and the path are there. */
  async open() {
    for (;;)
      try {
        return await super.open();
      } catch (error) {
        if (this.exited || !/^HTTP 404$|ECONNREFUSED/.test(error.message)) throw error;
        await sleep(5);
      }
  }

  send(message) {
    const headers = {
      accept: "application/json, text/event-stream",
      ...(this.#session !== undefined && {
        "mcp-session-id": this.#session,
        "mcp-protocol-version": protocolVersion,
      }),
    };
    this.post(this.url.pathname, headers, message, (response) => {
      this.#session ??= response.headers["mcp-session-id"];
      if (response.headers["content-type"]?.startsWith("text/event-stream"))
        response.on("data", eventReader({ message: (data) => this.receive(data) }));
      else {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("end", () => this.receive(Buffer.concat(chunks).toString()));
      }
    });
  }
}

/** The transport of 2024-11-05: answers come over one stream of events. */
export class SseClient extends PostingClient {
  #path;

  async connect() {
    this.child.stdout.resume();
    while (!(await this.#subscribe())) {
      if (this.exited) throw new Error("the process ended");
      await sleep(5);
    }
  }

  send(message) {
    this.post(this.#path, {}, message, (response) => response.resume());
  }

  /** Whether the stream is there, and has told where to post. */
  #subscribe() {
    return new Promise((done) => {
      const request = http.get(this.url, { headers: { accept: "text/event-stream" } });
      request.on("error", () => done(false));
      request.on("response", (response) => {
        response.on("error", () => {});
        if (response.statusCode !== 200) {
          response.resume();
          return done(false);
        }
        const endpoint = (data) => {
          this.#path = data;
          done(true);
        };
        response.on("data", eventReader({ endpoint, message: (data) => this.receive(data) }));
      });
    });
  }
}

/** Hands each event's data, which is one line here, to the listener of its name. */
function eventReader(listeners) {
  let name = "message";
  return lineReader((line) => {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) {
      const data = line.slice(5).trim();
      if (data !== "") listeners[name]?.(data);
      name = "message";
    }
  });
}
