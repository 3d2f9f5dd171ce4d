import { CallError } from "../errors.ts";
import { eventReader } from "./http-events.ts";
import { brokenOff, lost, mediaType } from "./http-failures.ts";
import type { Fetcher } from "./http-fetch.ts";
import type { HttpTarget } from "./http-target.ts";

interface RelayOptions {
  readonly target: HttpTarget;
  readonly fetcher: Fetcher;
  readonly onMessage: (text: string) => void;
  readonly onTooLarge: () => void;
}

/** The one stream of the SSE transport, on which all answers come. */
export interface Relay {
  /** The same stream without its messages, for the SDK: the address to post to. It never ends. */
  readonly rest: Response;
  /** Resolves with the reason when the stream has ended. */
  readonly ended: Promise<CallError>;
}

/** Reads the stream's messages and leaves the other events to the SDK, which would open it again for ever. */
export function relay(
  { target, fetcher, onMessage, onTooLarge }: RelayOptions,
  response: Response,
): Relay {
  const encoder = new TextEncoder();
  const rest = new TransformStream<Uint8Array, Uint8Array>();
  const writer = rest.writable.getWriter();
  const take = eventReader({
    onEvent(type, data) {
      if (type === "message") onMessage(data);
      else void writer.write(encoder.encode(`event: ${type}\ndata: ${data}\n\n`)).catch(() => {});
    },
    onTooLarge,
  });
  const read = async (): Promise<CallError> => {
    const type = mediaType(response.headers);
    if (type !== "text/event-stream") {
      void response.body?.cancel().catch(() => {});
      return new CallError(
        "unavailable",
        `${target.upstream} was expected to open a stream of events, but sent ${type === "" ? "nothing" : type}`,
        { outcome: "failed", upstream: target.upstream },
      );
    }
    try {
      await fetcher.read(response, take);
      return lost(target.upstream, "closed its stream of events");
    } catch (error) {
      return brokenOff(target.upstream, error);
    }
  };
  return {
    rest: new Response(rest.readable, { headers: { "content-type": "text/event-stream" } }),
    ended: read(),
  };
}
