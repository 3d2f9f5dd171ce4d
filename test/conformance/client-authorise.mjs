import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { command } from "./client-gateway.mjs";

/** What config says of authorisation in a scenario; undefined: nothing. */
export function oauthOf(scenario, { client_id: clientId, client_secret: clientSecret, issuer }) {
  if (scenario === "auth/basic-cimd")
    return { clientMetadataUrl: "https://conformance-test.local/client-metadata.json" };
  return clientId && { clientId, clientSecret, issuer };
}

/** `holdfast auth up`, with a person who consents to everything. Resolves with what it says where it fails. */
export async function authorise(folder) {
  const { command: program, args, env } = command(folder, "auth", "up", "--json", "--no-browser");
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  let problem;
  for await (const line of createInterface(child.stdout)) {
    const told = JSON.parse(line);
    problem = told.problem;
    if (told.open) await browse(told.open);
  }
  const [code] = await closed;
  return code === 0 ? undefined : `holdfast auth ended with ${code}: ${problem}`;
}

/** Goes where a browser would: to the authorization server, and from there back to the callback. */
async function browse(url) {
  const response = await fetch(url, { redirect: "manual" });
  const back = response.headers.get("location");
  if (back === null) throw new Error(`the authorization server answered ${response.status}`);
  await (await fetch(back)).text();
}
