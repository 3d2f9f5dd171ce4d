// The server that the conformance suites ask for, of both eras:
//   node fixture.mjs             on stdio
//   node fixture.mjs --http [0]  on loopback; prints the port
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { serveHttp } from "./fixture/http.mjs";
import { createServer, followChanges } from "./fixture/server.mjs";
import { createWorld } from "./fixture/world.mjs";

const world = createWorld();
if (process.argv[2] === "--http") {
  const port = await serveHttp(world, Number(process.argv[3] ?? 0));
  process.stdout.write(`${port}\n`);
} else {
  const handle = serveStdio((context) => {
    const server = createServer(world, context);
    followChanges(server, world);
    return server;
  });
  process.on("SIGTERM", () => void handle.close());
}
