import { ConfigError } from "../config/problems.ts";
import type { Config } from "../config/load.ts";
import { appsExtension } from "../era.ts";
import { messageOf } from "../errors.ts";
import { HttpFront } from "../front/http.ts";
import { open, readConfig } from "./open.ts";
import { reloadOnChange } from "./reload.ts";
import { goOn, signalled } from "./serve.ts";

/** What servers on connections that several clients share are told that theirs can do. */
const anyClient = {
  roots: { listChanged: true },
  sampling: { tools: {}, context: {} },
  elicitation: { form: {}, url: {} },
  extensions: { [appsExtension]: { mimeTypes: ["text/html;profile=mcp-app"] } },
};

/** `holdfast serve --http`: the gateway by HTTP, until a signal comes. Rejects with a ConfigError where it cannot listen. */
export async function serveHttp(file: string | undefined): Promise<number> {
  const { http, file: path } = await readConfig(file);
  // Before any server is started.
  if (http.problems.length > 0) throw new ConfigError(path, http.problems);
  const opened = await open(file);
  const { holdfast, config, report } = opened;
  try {
    goOn(process, report);
    holdfast.peer.introduce(anyClient, (upstream, method) =>
      Promise.reject(
        new Error(
          `${method}: ${upstream} serves several clients on this connection, and it does not show which one is meant; from now on each gets a connection of its own`,
        ),
      ),
    );
    const front = new HttpFront(holdfast.gateway, config.http, {
      peers: holdfast.peers,
      listed: holdfast.listed,
      onProblem: (problem) => report({ type: "gateway.problem", problem }),
    });
    const address = await front.listen().catch((error: unknown) => {
      throw notListening(config, error);
    });
    process.stderr.write(`Holdfast serves MCP at ${address}\n`);
    const stopReloading = reloadOnChange({
      ...opened,
      apply: async (next) => {
        if (next.http.problems.length > 0) throw new ConfigError(next.file, next.http.problems);
        await opened.apply(next);
        front.letIn(next.http);
      },
    });
    void holdfast.recover();
    await signalled();
    stopReloading();
    // Who says it twice does not want to wait.
    await Promise.race([front.drain(config.http.drainMs), signalled()]);
    await front.close();
    return 0;
  } finally {
    await opened.close();
  }
}

function notListening({ file, http }: Config, error: unknown): ConfigError {
  const inUse = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
  const why = inUse ? "is in use by another program" : `cannot be listened on: ${messageOf(error)}`;
  return new ConfigError(file, [
    { path: "http.port", message: `port ${http.port} of ${http.host} ${why}` },
  ]);
}
