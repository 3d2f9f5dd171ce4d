// A client that starts a gateway, uses it, says so, and stays until it is killed.
//   node stubborn-client.mjs COMMAND …
import { spawn } from "node:child_process";
import process from "node:process";

const [command, ...args] = process.argv.slice(2);
const gateway = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
const send = (message) =>
  gateway.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);

let text = "";
gateway.stdout.on("data", (chunk) => {
  text += chunk;
  // The gateway's pid is printed when its second answer is there, which needs its servers.
  if (/"id":2\b/.test(text)) {
    text = "";
    process.stdout.write(`${gateway.pid}\n`);
  }
});
send({
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "stubborn-client", version: "1.0.0" },
  },
});
send({ method: "notifications/initialized" });
send({ id: 2, method: "tools/list", params: {} });
// So that nothing stays when a test is broken.
setTimeout(() => process.exit(1), 120_000);
