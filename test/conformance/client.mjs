// The client that the conformance suite tests: Holdfast, with the suite's server as its one upstream. The suite
// starts it with the server's url as last argument, and the scenario in MCP_CONFORMANCE_SCENARIO.
//   node test/conformance/client.mjs http://localhost:1234/mcp
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Gateway, wantsAuthorisation } from "./client-gateway.mjs";
import { authorise, oauthOf } from "./client-authorise.mjs";
import { scenarios } from "./client-scenarios.mjs";

/** A person who is asked for the same again and again gives up. */
const mostConsents = 3;

const url = process.argv.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? "";
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");
const folder = await mkdtemp(join(tmpdir(), "holdfast-conformance-"));

try {
  const gateway = await Gateway.start(folder, { url, oauth: oauthOf(scenario, context) });
  try {
    const use = scenarios[scenario] ?? ((it) => it.useAll());
    for (let consents = 0; !(await gateway.succeeds(use)); consents++) {
      if (!wantsAuthorisation(gateway.problem)) throw new Error(gateway.problem);
      if (consents === mostConsents) throw new Error("it asks for authorisation without end");
      const problem = await authorise(folder);
      if (problem !== undefined && !wantsAuthorisation(problem)) throw new Error(problem);
    }
  } finally {
    await gateway.close();
  }
} catch (error) {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
