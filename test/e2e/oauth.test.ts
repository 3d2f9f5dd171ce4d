import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/call.ts";
import { holdfast } from "../support/command.ts";
import { configFile, odd, startGateway, temporaryFolder } from "../support/gateway.ts";
import { authorise, consent, OddAuth } from "../support/odd-auth.ts";
import { textOf, type RawClient } from "../support/raw-client.ts";

const failureOf = (result: JsonObject): unknown =>
  (result["_meta"] as JsonObject | undefined)?.["holdfast/failure"];

/** Everything in a folder but what is secret by design. */
function textsIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.endsWith("auth"))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"));
}

const countsOf = (server: OddAuth) =>
  server.seen().then(({ renewals, reused }) => ({ renewals, reused }));

/** A config with one remote server, and a state folder that commands and gateways share. */
function place(server: JsonObject, config: JsonObject = {}) {
  const state = temporaryFolder();
  const file = configFile({
    builtins: ["status"],
    log: { level: "debug" },
    ...config,
    mcpServers: { web: server },
  });
  const env = { HOLDFAST_STATE_DIR: state };
  const start = async (): Promise<RawClient> => {
    const client = startGateway(file, env);
    await client.initialize();
    return client;
  };
  return { state, file, env, start };
}

/** The same, with the consent of a person. */
async function authorised(options: Record<string, string | number> = {}, config: JsonObject = {}) {
  const server = await OddAuth.start(options);
  const at = place({ url: server.url, type: options["transport"] ?? "http" }, config);
  expect(await authorise(at.file, at.env)).toMatchObject({ code: 0 });
  return { server, ...at };
}

const listed = (client: RawClient): Promise<void> =>
  client.until(() => client.messages.some(({ method }) => String(method).endsWith("list_changed")));

describe("a server that wants authorisation", () => {
  it("is unavailable with words that say what to do, and comes once that is done", async () => {
    const server = await OddAuth.start();
    const { start, file, env, state } = place({ url: server.url });
    const client = await start();
    await client.tools();
    const refused = await client.call("holdfast__status");
    expect(textOf(refused)).toContain("asks for authorisation (HTTP 401): run `holdfast auth web`");
    const { code, told } = await authorise(file, env);
    expect({ code, told }).toEqual({ code: 0, told: { server: "web", tools: 4, scope: "read" } });
    await listed(client);
    expect(textOf(await client.call("web__echo", { a: 1 }))).toBe('{"a":1}');
    const folder = join(state, "auth");
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const names = readdirSync(folder);
    expect(names).toHaveLength(1);
    expect(statSync(join(folder, names[0] ?? "")).mode & 0o777).toBe(0o600);
  });

  it("is authorised and renewed by SSE as well", async () => {
    const { server, start } = await authorised({ transport: "sse" });
    const client = await start();
    await client.tools();
    await server.act("expire");
    expect(textOf(await client.call("web__echo", { a: 1 }))).toBe('{"a":1}');
    expect(await server.seen()).toMatchObject({ renewals: 1, calls: ["echo"] });
  });

  it("says so by SSE too", async () => {
    const server = await OddAuth.start();
    const { start } = place({ type: "sse", url: server.url });
    const client = await start();
    await client.tools();
    const status = textOf(await client.call("holdfast__status"));
    expect(status).toContain("(HTTP 401): run `holdfast auth web`");
  });

  it("is not asked by OAuth where config gives credentials, or wants none", async () => {
    const server = await OddAuth.start();
    for (const more of [{ headers: { Authorization: "Bearer mine" } }, { oauth: false }]) {
      const { start, file, env, state } = place({ url: server.url, ...more });
      const client = await start();
      await client.until(() => client.stderr.includes("look at the headers that config gives it"));
      expect(client.stderr).not.toContain("holdfast auth");
      expect(existsSync(join(state, "auth"))).toBe(false);
      expect((await authorise(file, env)).code).toBe(2);
    }
  });
});

describe("a token that ends", () => {
  it("is renewed once for all calls that meet it, and nobody notices", async () => {
    const { server, start } = await authorised();
    const client = await start();
    await client.tools();
    await server.act("expire");
    const calls = Array.from({ length: 20 }, (_, n) => client.call("web__echo", { n }));
    expect((await Promise.all(calls)).map(textOf)).toEqual(calls.map((_, n) => `{"n":${n}}`));
    expect(await countsOf(server)).toEqual({ renewals: 1, reused: 0 });
    expect((await server.seen()).calls).toHaveLength(20);
  });

  it("is renewed by one of several gateways, as its refresh token is good for once", async () => {
    const { server, start } = await authorised({ rotate: "on" });
    const clients = await Promise.all([start(), start(), start()]);
    for (const client of clients) await client.tools();
    for (let round = 1; round <= 3; round++) {
      await server.act("expire");
      const texts = await Promise.all(
        clients.map(async (client) => textOf(await client.call("web__echo", { round }))),
      );
      expect(texts).toEqual(clients.map(() => `{"round":${round}}`));
      expect(await countsOf(server)).toEqual({ renewals: round, reused: 0 });
    }
  });

  it("together with its session is healed, and a read is done once", async () => {
    const { server, start } = await authorised({ rotate: "on" });
    const client = await start();
    await client.tools();
    const { initialised } = await server.seen();
    await server.act("forget");
    await server.act("expire");
    expect(textOf(await client.call("web__echo", { a: 1 }))).toBe('{"a":1}');
    const seen = await server.seen();
    expect(seen).toMatchObject({ calls: ["echo"], renewals: 1, initialised: initialised + 1 });
  });

  it("and cannot be renewed leaves the server unavailable, until a person consents again", async () => {
    const { server, start, file, env } = await authorised();
    const client = await start();
    await client.tools();
    await server.act("revoke");
    const calls = Array.from({ length: 20 }, (_, n) => client.call("web__echo", { n }));
    for (const refused of await Promise.all(calls)) {
      expect(failureOf(refused)).toMatchObject({ code: "unavailable", outcome: "failed" });
      expect(textOf(refused)).toContain("run `holdfast auth web`");
    }
    // What was refused for good is not sent again.
    expect((await server.seen()).renewals).toBe(1);
    expect((await authorise(file, env)).code).toBe(0);
    let answer = await client.call("web__echo");
    for (; answer["isError"] === true; answer = await client.call("web__echo"))
      expect(failureOf(answer)).toMatchObject({ code: "unavailable" });
    expect(textOf(answer)).toBe("{}");
    // It knew Holdfast from the first time.
    expect((await server.seen()).registrations).toHaveLength(1);
  });

  it("while the authorization server is down is renewed later", async () => {
    const { server, start } = await authorised();
    const client = await start();
    await client.tools();
    await server.act("down");
    await server.act("expire");
    const refused = await client.call("web__echo");
    expect(textOf(refused)).toContain("its token cannot be renewed");
    expect(textOf(refused)).not.toContain("holdfast auth");
    await server.act("up");
    let answer: JsonObject;
    do answer = await client.call("web__echo");
    while (answer["isError"] === true);
    expect((await server.seen()).authorizations).toHaveLength(1);
  });
});

it("what a call needs is still asked for when the token has ended meanwhile", async () => {
  const { server, start, file, env } = await authorised({ "step-up": "on" });
  const client = await start();
  await client.tools();
  await client.call("web__write");
  await server.act("revoke");
  await client.call("web__echo");
  expect(await authorise(file, env)).toMatchObject({ told: { scope: "read write" } });
});

it("a call that needs more scopes says so, and succeeds once they are granted beside the old ones", async () => {
  const { server, start, file, env } = await authorised({ "step-up": "on" });
  const client = await start();
  await client.tools();
  const refused = await client.call("web__write");
  expect(failureOf(refused)).toMatchObject({ code: "denied", outcome: "failed" });
  expect(textOf(refused)).toContain('the scope "write" (HTTP 403): run `holdfast auth web`');
  expect(textOf(await client.call("web__echo"))).toBe("{}");
  expect(await authorise(file, env)).toMatchObject({ told: { scope: "read write" } });
  expect(textOf(await client.call("web__write"))).toBe("written");
  expect((await server.seen()).calls).toEqual(["echo", "write"]);
});

describe("a token goes to the server alone", () => {
  it("and not where the server redirects to", async () => {
    const server = await OddAuth.start({ redirect: "elsewhere" });
    const { file, env } = place({ url: server.url });
    const { code, told } = await authorise(file, env);
    expect({ code, problem: told["problem"] }).toEqual({
      code: 1,
      problem: expect.stringContaining("edirect"),
    });
    expect((await server.seen()).stray).toEqual([]);
  });

  it("also where it moved within its origin", async () => {
    const { start } = await authorised({ redirect: "moved" });
    const client = await start();
    await client.tools();
    expect(textOf(await client.call("web__echo"))).toBe("{}");
  });
});

describe("secrets of authorisation", () => {
  it("are in no log, answer, event, manifest or result", async () => {
    const folder = temporaryFolder();
    const events = { audit: { file: join(folder, "audit.jsonl"), types: ["*"] } };
    const { server, start, state } = await authorised({ rotate: "on" }, { events });
    const client = await start();
    await client.tools();
    await server.act("expire");
    await client.call("web__echo");
    const failed = await client.call("web__fail");
    expect(textOf(failed)).toContain("***");
    // A server's own error passes as it is, but is not written down.
    const { error } = await client.call("web__tell");
    expect(JSON.stringify(error)).toContain("planted-access");
    await server.act("careless");
    await server.act("expire");
    expect(textOf(await client.call("web__echo"))).toContain("no such grant: ***");
    const status = await client.call("holdfast__status");
    await client.close();
    const texts = [
      client.stderr,
      JSON.stringify(client.messages.filter((message) => message["error"] === undefined)),
      JSON.stringify(status),
      ...textsIn(state),
      ...textsIn(folder),
    ];
    expect(texts.length).toBeGreaterThan(4);
    for (const text of texts) expect(text).not.toContain("planted-");
  });

  it("are not told by a failing holdfast auth", async () => {
    const server = await OddAuth.start();
    const { file, env } = place({ url: server.url });
    const { told, stderr } = await authorise(file, env, {
      browse: async (url) => {
        const back = await consent(url);
        // Somebody puts another code in its place, which the server repeats in its error.
        back.searchParams.set("code", "planted-code-of-another");
        await (await fetch(back)).text();
      },
    });
    expect(told["problem"]).toContain("no such grant");
    expect(JSON.stringify(told) + stderr).not.toContain("planted-");
  });
});

describe("holdfast auth", () => {
  it.each([
    [{ register: "refuse" }, "Dynamic Client Registration rejected (HTTP 400)"],
    [{ consent: "deny" }, "did not consent: access_denied: not today"],
    [{ iss: "wrong" }, 'received "http://evil.example"'],
    [{ iss: "missing" }, "received undefined"],
    [{ resource: "https://evil.example/mcp" }, "does not match expected"],
    [{ endpoint: "http://evil.example" }, "expected an https address for authorisation"],
  ])("with %j fails and says why, and keeps nothing", async (options, words) => {
    const server = await OddAuth.start(options);
    const { file, env, state } = place({ url: server.url });
    const { code, told } = await authorise(file, env);
    expect(code).toBe(1);
    expect(told["problem"]).toContain(words);
    expect((await server.seen()).exchanges).toBe(0);
    for (const name of readdirSync(join(state, "auth")))
      expect(readFileSync(join(state, "auth", name), "utf8")).not.toContain("tokens");
  });

  it("takes no answer with another state", async () => {
    const server = await OddAuth.start();
    const { file, env } = place({ url: server.url });
    const { code } = await authorise(file, env, {
      browse: async (url) => {
        const back = await consent(url);
        const forged = new URL(back);
        forged.searchParams.set("state", "forged");
        expect((await fetch(forged)).status).toBe(400);
        expect((await fetch(new URL("/", back))).status).toBe(404);
        expect((await fetch(back)).status).toBe(200);
        // And none a second time.
        await expect(fetch(back).then(({ status }) => status)).resolves.toBe(400);
      },
    });
    expect(code).toBe(0);
  });

  it("says for a server that nobody can reach that it cannot be reached", async () => {
    const { file, env } = place({ url: "http://127.0.0.1:4/mcp" });
    const { code, told } = await authorise(file, env);
    expect({ code, problem: told["problem"] }).toEqual({
      code: 1,
      problem: expect.stringContaining("cannot be reached"),
    });
  });

  it("uses the client and scopes of config, and gives its secret to no other authorization server", async () => {
    const server = await OddAuth.start();
    const oauth = { clientId: "known", clientSecret: "${SECRET}", scopes: ["read", "more"] };
    const { file, env, state } = place({ url: server.url, oauth });
    const secret = { ...env, SECRET: "planted-config" };
    expect(await authorise(file, secret)).toMatchObject({ code: 0, told: { scope: "read more" } });
    const { registrations, authorizations } = await server.seen();
    expect(registrations).toEqual([]);
    expect(authorizations).toMatchObject([{ client_id: "known", resource: server.url }]);
    const [name = ""] = readdirSync(join(state, "auth"));
    const kept = readFileSync(join(state, "auth", name), "utf8");
    expect(kept).not.toContain("planted-config");
    // The server names another one by now.
    writeFileSync(
      join(state, "auth", name),
      kept.replaceAll(server.issuer, "https://other.example"),
    );
    const moved = await authorise(file, secret);
    expect(moved.code).toBe(1);
    expect(moved.told["problem"]).toContain("refusing to present them");
  });

  it("forgets with --logout", async () => {
    const { file, env, state } = await authorised();
    const forget = () => holdfast(["auth", "web", "--logout", "--config", file], { env });
    expect(forget()).toMatchObject({ code: 0, out: "The tokens of web are forgotten.\n" });
    expect(readdirSync(join(state, "auth"))).toEqual([]);
    expect(forget()).toMatchObject({ code: 0, out: "There were no tokens of web.\n" });
  });

  it("refuses what cannot be authorised", () => {
    const file = configFile({
      mcpServers: { program: odd(), off: { url: "http://x", disabled: true } },
    });
    const says = (...args: string[]) => {
      const { code, err } = holdfast([...args, "--config", file]);
      return `${code} ${err.trim()}`;
    };
    expect(says("auth", "progam")).toContain(
      '2 holdfast: there is no server "progam"; the nearest',
    );
    expect(says("auth", "program")).toContain("program is a program; expected a server with a url");
    expect(says("auth", "off")).toContain("off is disabled");
    expect(says("auth")).toContain("2 holdfast: expected holdfast auth SERVER");
    expect(says("check", "--logout")).toContain("--logout belongs to holdfast auth SERVER");
  });
});
