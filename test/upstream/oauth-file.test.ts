import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { OAuthFile, type Authorisation } from "../../src/upstream/oauth-file.ts";
import { temporaryFolder } from "../support/gateway.ts";

/** What happens right after a look at how old a lock is, once; and how many looks there were. */
const afterLook = vi.hoisted(() => ({ run: (): void => {}, count: 0 }));
vi.mock("node:fs/promises", async (original) => {
  const fs = await original<typeof import("node:fs/promises")>();
  return {
    ...fs,
    stat: async (path: string) => {
      const found = await fs.stat(path);
      const { run } = afterLook;
      afterLook.count++;
      afterLook.run = () => {};
      run();
      return found;
    },
  };
});

const url = "https://example.com/mcp?key=planted";

function place() {
  const folder = join(temporaryFolder(), "auth");
  const file = new OAuthFile(folder, url, undefined);
  const name = () => join(folder, readdirSync(folder)[0] ?? "");
  return { folder, file, name };
}

const withScope = (scope: string) => (kept: Authorisation) => ({
  ...kept,
  wanted: { more: false, scope },
});

it("keeps what it is given for the next process, where nobody else can read it", async () => {
  const { folder, file, name } = place();
  expect(await file.read()).toEqual({ server: "https://example.com/mcp" });
  await file.update(withScope("a"));
  expect(await new OAuthFile(folder, url, undefined).read()).toMatchObject({
    wanted: { scope: "a" },
  });
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(statSync(name()).mode & 0o777).toBe(0o600);
});

it("is another one for another address or client", async () => {
  const { folder, file } = place();
  await file.update(withScope("a"));
  for (const other of [
    new OAuthFile(folder, `${url}#work`, undefined),
    new OAuthFile(folder, url, "client"),
  ])
    expect((await other.read()).wanted).toBeUndefined();
});

it("lets one change come after the other, whoever makes them", async () => {
  const { folder } = place();
  const add = (letter: string) =>
    new OAuthFile(folder, url, undefined).update(async (kept) => {
      await new Promise((resolve) => setImmediate(resolve));
      return withScope(`${kept.wanted?.scope ?? ""}${letter}`)(kept);
    });
  await Promise.all(["a", "b", "c", "d"].map(add));
  const { wanted } = await new OAuthFile(folder, url, undefined).read();
  expect([...(wanted?.scope ?? "")].toSorted()).toEqual(["a", "b", "c", "d"]);
  expect(readdirSync(folder)).toHaveLength(1);
});

it("takes over the lock that a dead process has left, and no other", async () => {
  const { folder, file, name } = place();
  await file.update(withScope("a"));
  const lock = `${name()}.lock`;
  writeFileSync(lock, "");
  let isDone = false;
  const change = file.update(withScope("b")).then(() => (isDone = true));
  for (let n = 0; n < 10; n++) expect(await file.read()).toMatchObject({ wanted: { scope: "a" } });
  expect(isDone).toBe(false);
  const longAgo = Date.now() / 1000 - 60;
  utimesSync(lock, longAgo, longAgo);
  await change;
  expect(readdirSync(folder)).toHaveLength(1);
});

it("leaves the lock to who has taken it over meanwhile", async () => {
  const { folder, file, name } = place();
  await file.update(withScope("a"));
  afterLook.count = 0;
  const lock = `${name()}.lock`;
  const longAgo = Date.now() / 1000 - 60;
  writeFileSync(lock, "left behind");
  utimesSync(lock, longAgo, longAgo);
  const taken = new Promise<void>((resolve) => {
    afterLook.run = () => {
      writeFileSync(lock, "taken over");
      resolve();
    };
  });
  let isDone = false;
  const change = file.update(withScope("b")).then(() => (isDone = true));
  await taken;
  await vi.waitFor(() => expect(afterLook.count).toBeGreaterThan(2));
  expect(readFileSync(lock, "utf8")).toBe("taken over");
  expect(isDone).toBe(false);
  rmSync(lock);
  await change;
  expect(readdirSync(folder)).toHaveLength(1);
});

it("takes over a lock from days to come, as one is where the clock was set back", async () => {
  const { folder, file, name } = place();
  await file.update(withScope("a"));
  const lock = `${name()}.lock`;
  writeFileSync(lock, "");
  const tomorrow = Date.now() / 1000 + 86_400;
  utimesSync(lock, tomorrow, tomorrow);
  await file.update(withScope("b"));
  expect(readdirSync(folder)).toHaveLength(1);
});

it("changes nothing, and gives the lock back, where the change fails", async () => {
  const { folder, file } = place();
  await file.update(withScope("a"));
  await expect(file.update(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await file.read()).toMatchObject({ wanted: { scope: "a" } });
  expect(readdirSync(folder)).toHaveLength(1);
});

it.each(["", "{", "{}", '{"server":"x","tokens":{}}', '{"server":"x","wanted":{"more":1}}'])(
  "takes a file that holds %j for none",
  async (text) => {
    const { file, name } = place();
    await file.update(withScope("a"));
    writeFileSync(name(), text);
    expect(await file.read()).toEqual({ server: "https://example.com/mcp" });
    await file.update(withScope("b"));
    expect(readFileSync(name(), "utf8")).toContain('"b"');
  },
);

it("says where it cannot be written", async () => {
  const folder = join(temporaryFolder(), "auth");
  writeFileSync(folder, "a file");
  await expect(new OAuthFile(folder, url, undefined).update(withScope("a"))).rejects.toThrow(
    `${folder} cannot be written`,
  );
});

it("forgets", async () => {
  const { folder, file } = place();
  mkdirSync(folder);
  expect(await file.forget()).toBe(false);
  const tokens = { access_token: "a", token_type: "Bearer" };
  await file.update((kept) => ({ ...kept, tokens }));
  expect(await file.forget()).toBe(true);
  expect(readdirSync(folder)).toEqual([]);
});
