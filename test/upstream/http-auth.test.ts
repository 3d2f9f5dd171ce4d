import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { HttpAuth } from "../../src/upstream/http-auth.ts";
import { OAuthFile, type Authorisation } from "../../src/upstream/oauth-file.ts";
import type { OAuthSettings } from "../../src/oauth-settings.ts";
import { outcomeOf } from "../support/calls.ts";
import { temporaryFolder } from "../support/gateway.ts";

const server = new URL("https://example.com/mcp");
const issuer = "https://login.example.com";
const minute = 60_000;

/** What the authorization server answers to the next renewals, and what it was sent. */
let answers: ((form: URLSearchParams) => Response | Promise<Response>)[] = [];
let asked: string[] = [];

const gives = (access: string) => () =>
  Response.json({ access_token: access, token_type: "Bearer", expires_in: 3600 });
const refuses = (error: string) => () => Response.json({ error }, { status: 400 });

beforeEach(() => {
  answers = [];
  asked = [];
  vi.stubGlobal("fetch", async (url: URL, { body }: { body: URLSearchParams }) => {
    expect(url.href).toBe(`${issuer}/token`);
    asked.push([...body].map(([key, value]) => `${key}=${value}`).join(" "));
    const answer = answers.shift();
    if (answer === undefined) throw new TypeError("fetch failed");
    return answer(body);
  });
});
afterEach(() => vi.unstubAllGlobals());

/** The authorisation for one server, with what is kept of it, and a server that takes `good` tokens. */
async function start(
  kept: Partial<Authorisation> = {},
  { settings = {}, good = ["two"] }: { settings?: OAuthSettings; good?: string[] } = {},
) {
  const folder = join(temporaryFolder(), "auth");
  const file = new OAuthFile(folder, server.href, undefined);
  await file.update((before) => ({
    ...before,
    client: { client_id: "me", issuer },
    tokens: { access_token: "one", refresh_token: "again", token_type: "Bearer", scope: "read" },
    discovery: { authorizationServerUrl: issuer },
    resource: "https://example.com/mcp",
    ...kept,
  }));
  const secrets: string[] = [];
  const problems: string[] = [];
  const auth = new HttpAuth({
    upstream: "web",
    server,
    settings,
    file,
    secret: (value) => secrets.push(value),
    problem: (problem) => problems.push(problem),
  });
  await auth.load();
  const sent: (string | null)[] = [];
  const send = (init: RequestInit = {}, url = server): Promise<Response> =>
    auth.send(url, { method: "POST", ...init }, (_, { headers }) => {
      const token = new Headers(headers).get("authorization");
      sent.push(token);
      const isGood = good.some((one) => token === `Bearer ${one}`);
      return Promise.resolve(new Response(null, { status: isGood ? 200 : 401 }));
    });
  return { auth, file, folder, send, sent, secrets, problems };
}

it("sends a request again with a new token when the old one is refused", async () => {
  answers = [gives("two")];
  const { send, sent, file, secrets } = await start();
  expect((await send()).status).toBe(200);
  expect(sent).toEqual(["Bearer one", "Bearer two"]);
  expect(asked).toEqual([
    "grant_type=refresh_token refresh_token=again resource=https://example.com/mcp client_id=me",
  ]);
  expect(await file.read()).toMatchObject({
    tokens: { access_token: "two", refresh_token: "again", scope: "read" },
    expiresAt: expect.any(Number),
  });
  expect(secrets).toEqual(["one", "again", "two"]);
});

it("renews once for many requests", async () => {
  answers = [gives("two")];
  const { send } = await start();
  const responses = await Promise.all(Array.from({ length: 10 }, () => send()));
  expect(responses.every(({ status }) => status === 200)).toBe(true);
  expect(asked).toHaveLength(1);
});

it("takes the token that another process has stored meanwhile", async () => {
  const { send, file } = await start();
  await file.update((kept) => ({
    ...kept,
    tokens: { access_token: "two", refresh_token: "another", token_type: "Bearer" },
  }));
  expect((await send()).status).toBe(200);
  expect(asked).toEqual([]);
});

it("renews ahead of the end while nobody waits", async () => {
  let answer = (_: Response): void => {};
  answers = [() => new Promise<Response>((resolve) => (answer = resolve))];
  const now = Date.now();
  const { send, sent } = await start(
    { renewAt: now - 1, expiresAt: now + minute },
    { good: ["one", "two"] },
  );
  await send();
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  await send();
  answer(gives("two")());
  await vi.waitFor(async () => {
    await send();
    expect(sent.at(-1)).toBe("Bearer two");
  });
  expect(sent.slice(0, 2)).toEqual(["Bearer one", "Bearer one"]);
  expect(asked).toHaveLength(1);
});

it("renews first what has ended", async () => {
  answers = [gives("two")];
  const past = Date.now() - minute;
  const { send, sent } = await start({ renewAt: past, expiresAt: past });
  await send();
  expect(sent).toEqual(["Bearer two"]);
});

it("does not ask again at once where a renewal has failed, and says why", async () => {
  const { send } = await start();
  const why = expect.stringContaining("its token cannot be renewed");
  for (let n = 0; n < 3; n++)
    expect(await outcomeOf(send())).toMatchObject({ code: "unavailable", message: why });
  expect(asked).toHaveLength(1);
});

it("asks again after a failure though the clock was set back", async () => {
  vi.useFakeTimers({ toFake: ["Date", "performance"] });
  try {
    const { send } = await start();
    expect(await outcomeOf(send())).toMatchObject({ code: "unavailable" });
    vi.setSystemTime(Date.now() - 60 * minute);
    vi.advanceTimersByTime(2100);
    answers = [gives("two")];
    expect((await send()).status).toBe(200);
  } finally {
    vi.useRealTimers();
  }
});

it.each([
  ["invalid_grant", "me"],
  ["invalid_client", undefined],
])("forgets the tokens at %s, and asks for a person", async (error, client) => {
  answers = [refuses(error)];
  const { send, file } = await start();
  const refused = {
    code: "unavailable",
    outcome: "failed",
    status: 401,
    message: expect.stringContaining("run `holdfast auth web`"),
  };
  expect(await outcomeOf(send())).toMatchObject(refused);
  expect(await outcomeOf(send())).toMatchObject(refused);
  expect(asked).toHaveLength(1);
  const kept = await file.read();
  expect(kept.tokens).toBeUndefined();
  expect(kept.client?.client_id).toBe(client);
});

it("renews nothing for want of scopes, and remembers which until a person has granted them", async () => {
  answers = [gives("two")];
  const { auth, send, file } = await start();
  const challenge = 'Bearer error="insufficient_scope", scope="write"';
  const forbids = (): Promise<Response> =>
    Promise.resolve(
      new Response(null, { status: 403, headers: { "www-authenticate": challenge } }),
    );
  const refused = { code: "denied", outcome: "failed", local: true, status: 403 };
  expect(await outcomeOf(auth.send(server, { method: "POST" }, forbids))).toMatchObject(refused);
  expect(asked).toEqual([]);
  const wanted = { more: true, scope: "read write" };
  expect(await file.read()).toMatchObject({ wanted });
  expect((await send()).status).toBe(200);
  expect(await file.read()).toMatchObject({ tokens: { access_token: "two" }, wanted });
});

it("passes on that something is forbidden which no scope would allow", async () => {
  const { auth } = await start();
  const { status } = await auth.send(server, { method: "POST" }, () =>
    Promise.resolve(new Response(null, { status: 403 })),
  );
  expect(status).toBe(403);
});

it("gives up where the new token is refused as well", async () => {
  answers = [gives("three"), gives("four")];
  const { send, sent } = await start();
  const message = expect.stringContaining("no longer takes its token");
  expect(await outcomeOf(send())).toMatchObject({ code: "unavailable", message });
  expect(sent).toEqual(["Bearer one", "Bearer three"]);
});

it("sends the token to no other origin, and renews nothing for it", async () => {
  const { send, sent } = await start();
  for (const url of ["https://example.com.evil/mcp", "http://example.com/mcp", `${issuer}/mcp`])
    expect((await send({}, new URL(url))).status).toBe(401);
  expect(sent).toEqual([null, null, null]);
  expect(asked).toEqual([]);
});

it("renews nothing for the end of a session", async () => {
  const { send } = await start();
  expect((await send({ method: "DELETE" })).status).toBe(401);
  expect(asked).toEqual([]);
});

it("does not take a refused stream for the end of the connection", async () => {
  const { send } = await start({ tokens: undefined });
  expect(await outcomeOf(send({ method: "GET" }))).toMatchObject({ code: "denied" });
});

it("uses the secret of config, and keeps it nowhere", async () => {
  answers = [gives("two")];
  const { send, file } = await start({}, { settings: { clientId: "me", clientSecret: "planted" } });
  await send();
  expect(JSON.stringify(await file.read())).not.toContain("planted");
});

it("hides its tokens in what others say, also when they have just been renewed", async () => {
  answers = [gives("two-two")];
  const { auth, send } = await start({}, { good: ["two-two"] });
  await send();
  expect(auth.mask("one, two-two and again")).toBe("***, *** and ***");
});
