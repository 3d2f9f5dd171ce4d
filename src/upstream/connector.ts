import type { Asked } from "./client.ts";
import type { Connect, ConnectionEvents } from "./connection.ts";
import { programOf } from "./environment.ts";
import type { HttpAddress } from "./http-target.ts";
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
  /** Where tokens of remote servers are kept. */
  readonly authFolder: string;
  /** Told each of those tokens when it is first known. */
  readonly secret: (value: string) => void;
}

/** How to connect to a server, by its kind of transport. */
export function connector(
  upstream: string,
  transport: Transport,
  { environment, records, asked, mask, authFolder, secret, ...events }: ConnectorOptions,
): Connect {
  const turn = new Turn();
  if (transport.kind === "stdio") {
    const program = programOf(transport, environment);
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
  let connect: Promise<Connect> | undefined;
  return async (...attempt) => {
    connect ??= import("./http-connector.ts").then(({ httpConnector }) =>
      httpConnector(upstream, transport, { asked, authFolder, secret, ...events }),
    );
    return (await connect)(...attempt);
  };
}
