import type { Asked } from "./client.ts";
import type { Connect, ConnectionEvents } from "./connection.ts";
import { childEnvironment } from "./environment.ts";
import type { HttpAddress } from "./http-target.ts";
import { connectHttp } from "./http.ts";
import type { Program, ServerRecords } from "./process.ts";
import { connectStdio } from "./stdio.ts";
import { Turn } from "./turn.ts";

/** How a server is reached. */
export type Transport = ({ readonly kind: "stdio" } & Program) | HttpAddress;

/** What connections need besides. */
export interface ConnectorOptions extends ConnectionEvents {
  /** Of Holdfast; a program gets its own `env` and a safe part of this. */
  readonly environment: NodeJS.ProcessEnv;
  readonly records?: ServerRecords | undefined;
  readonly asked: Asked;
  /** Takes the server's secrets out of a text. */
  readonly mask: (text: string) => string;
}

/** How to connect to a server, by its kind of transport. */
export function connector(
  upstream: string,
  transport: Transport,
  { environment, records, asked, mask, ...events }: ConnectorOptions,
): Connect {
  const turn = new Turn();
  if (transport.kind === "stdio") {
    const program = { ...transport, env: childEnvironment(transport.env, environment) };
    const options = { ...events, asked, records, mask };
    return (timeoutMs, abandon, known) => {
      const opening = turn.begin(known);
      const answered = (): void => turn.answered();
      return connectStdio(
        upstream,
        program,
        { ...options, known, opening, answered },
        timeoutMs,
        abandon,
      );
    };
  }
  return (timeoutMs, abandon, known) =>
    connectHttp(upstream, transport, { ...events, asked, known }, timeoutMs, abandon);
}
