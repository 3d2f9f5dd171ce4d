import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { httpOptions, resolveHttp, type HttpConfig } from "../../src/config/http.ts";

const long = "0123456789abcdef";
const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();

const resolve = (http: unknown, env: NodeJS.ProcessEnv = {}): HttpConfig =>
  resolveHttp(httpOptions.parse(http), { env, home: "/h", workspace: "/w", inputs: new Map() });

describe("a token", () => {
  it("is taken from the environment, and kept as a hash by which its bearer is known", () => {
    const { tokens, problems, secrets } = resolve({ tokens: ["${HF_TOKEN}"] }, { HF_TOKEN: long });
    const hash = sha256(long);
    expect(problems).toEqual([]);
    expect(tokens).toEqual([
      { principal: `token-${hash.toString("hex").slice(0, 8)}`, sha256: hash },
    ]);
    expect(secrets).toEqual([long]);
  });

  it("is known by its name where it has one", () => {
    const { tokens } = resolve({ tokens: [{ name: "ci", token: long }] });
    expect(tokens).toEqual([{ principal: "ci", sha256: sha256(long) }]);
  });

  it("may be given as its hash, and is no secret then", () => {
    const hex = sha256(long).toString("hex").toUpperCase();
    const { tokens, secrets } = resolve({ tokens: [{ name: "ci", token: `sha256:${hex}` }] });
    expect(tokens).toEqual([{ principal: "ci", sha256: sha256(long) }]);
    expect(secrets).toEqual([]);
  });

  it.each([
    ["${HF_TOKEN}", "the environment variable HF_TOKEN is not set"],
    ["sha256:abc", 'expected 64 hex digits after "sha256:"'],
    ["short", "expected at least 16 characters"],
    ["a token with spaces in it", "expected no spaces and no characters beyond ASCII"],
  ])("such as %s is refused with its place, and lets nobody in", (token, message) => {
    const { tokens, problems } = resolve({ tokens: [long, token] });
    expect(problems).toEqual([{ path: "http.tokens[1]", message }]);
    expect(tokens).toHaveLength(1);
  });

  it("that is empty in the environment is refused", () => {
    const { problems } = resolve({ tokens: ["${HF_TOKEN}"] }, { HF_TOKEN: "" });
    expect(problems).toMatchObject([{ message: "expected at least 16 characters" }]);
  });
});

describe("a host", () => {
  it.each(["127.0.0.1", "127.1.2.3", "::1", "localhost"])(
    "such as %s needs no tokens: nobody else reaches it",
    (host) => expect(resolve({ host }).problems).toEqual([]),
  );

  it.each(["0.0.0.0", "::", "192.168.1.2", "example.com", "127.evil.com"])(
    "such as %s needs tokens",
    (host) => {
      expect(resolve({ host }).problems).toMatchObject([{ path: "http.tokens" }]);
      expect(resolve({ host, tokens: [long] }).problems).toEqual([]);
    },
  );
});
