import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, expect, it } from "vitest";
import { OAuthCallback } from "../../src/upstream/oauth-callback.ts";

const open: OAuthCallback[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((callback) => callback.close()));
});

async function listen(port?: number, preferred?: number): Promise<OAuthCallback> {
  const callback = await OAuthCallback.listen(port, preferred);
  open.push(callback);
  return callback;
}

const portOf = ({ redirectUrl }: OAuthCallback): number => Number(new URL(redirectUrl).port);

it("listens on a port that is free, and on the last one again where it is", async () => {
  const first = await listen();
  expect(first.redirectUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/);
  expect(portOf(await listen(undefined, portOf(first)))).not.toBe(portOf(first));
  await first.close();
  expect((await listen(undefined, portOf(first))).redirectUrl).toBe(first.redirectUrl);
});

it("listens on the port of config, under the name that is registered for it, or not at all", async () => {
  const port = portOf(await listen());
  await expect(listen(port)).rejects.toThrow("EADDRINUSE");
  await Promise.all(open.splice(0).map((callback) => callback.close()));
  expect((await listen(port)).redirectUrl).toBe(`http://localhost:${port}/callback`);
});

it("answers with nothing of what it was sent", async () => {
  const callback = await listen();
  const answer = callback.answer("right");
  for (const [query, status] of [
    ["state=<b>wrong</b>&code=<script>", 400],
    ["state=right&code=<script>&iss=<i>", 200],
  ] as const) {
    const response = await fetch(`${callback.redirectUrl}?${query}`);
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await response.text()).not.toContain("<");
  }
  expect((await answer).get("code")).toBe("<script>");
});

it("outlives a request for what is no address", async () => {
  const callback = await listen();
  const answer = callback.answer("right");
  const socket = connect(portOf(callback), "127.0.0.1");
  socket.end("GET //[ HTTP/1.1\r\nHost: x\r\n\r\n");
  const [reply] = (await once(socket, "data")) as [Buffer];
  expect(reply.toString()).toContain("404");
  expect((await fetch(`${callback.redirectUrl}?state=right&code=1`)).status).toBe(200);
  expect((await answer).get("code")).toBe("1");
});

it("takes one answer, and once", async () => {
  const callback = await listen();
  const answer = callback.answer("right");
  const come = (): Promise<Response> => fetch(`${callback.redirectUrl}?state=right&code=1`);
  expect((await come()).status).toBe(200);
  expect((await come()).status).toBe(400);
  expect((await answer).get("code")).toBe("1");
});
