import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ServerInfo } from "../../src/upstream/connection.ts";
import { openEither, type Ways } from "../../src/upstream/open-either.ts";
import { patience, Turn } from "../../src/upstream/turn.ts";
import { outcomeOf } from "../support/calls.ts";

const info = (protocolVersion: string, over: Partial<ServerInfo> = {}): ServerInfo => ({
  name: "fake",
  version: "1",
  capabilities: {},
  protocolVersion,
  ...over,
});
const modern = info("2026-07-28");
const no = Object.assign(new Error("no"), { code: -32601 });

/** What is tried, in order, on a server that does what `over` says. */
function server(over: Partial<Ways<string>> = {}) {
  const tried: string[] = [];
  const ways: Ways<string> = {
    opening: "discover",
    patienceMs: 1000,
    discover: () => Promise.resolve(modern),
    use: () => Promise.resolve("modern"),
    initialize: () => Promise.resolve("older"),
    both: (opened) => `${opened}, and modern`,
    isAnswer: (error) => error === no,
    answered: () => tried.push("answered"),
    ...over,
  };
  const discover = (): Promise<ServerInfo | undefined> => {
    tried.push("discover");
    return ways.discover();
  };
  const initialize = (): Promise<string> => {
    tried.push("initialize");
    return ways.initialize();
  };
  return { tried, opened: openEither({ ...ways, discover, initialize }) };
}

const after = <Value>(ms: number, value: Value): Promise<Value> =>
  new Promise((resolve) => setTimeout(() => resolve(value), ms));
const never = (): Promise<never> => new Promise(() => {});

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe("a server that is not known", () => {
  it("is used in the newer era where it says that it speaks it, and not initialised", async () => {
    const { opened, tried } = server();
    expect(await opened).toBe("modern");
    expect(tried).toEqual(["discover", "answered"]);
  });

  it("is initialised where it does not", async () => {
    const { opened, tried } = server({ discover: () => Promise.resolve(undefined) });
    expect(await opened).toBe("older");
    expect(tried).toEqual(["discover", "answered", "initialize"]);
  });

  it("is initialised where it does not answer, which it need not", async () => {
    const { opened, tried } = server({ discover: never });
    await vi.advanceTimersByTimeAsync(999);
    expect(tried).toEqual(["discover"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await opened).toBe("older");
    expect(tried).toEqual(["discover", "initialize"]);
  });

  it("is given up where it ends", async () => {
    const gone = new Error("gone");
    const { opened, tried } = server({ discover: () => Promise.reject(gone) });
    expect(await outcomeOf(opened)).toBe(gone);
    expect(tried).toEqual(["discover"]);
  });
});

describe("a server that answers the probe late", () => {
  it("is used in the newer era where it refuses to be initialised", async () => {
    const { opened } = server({
      discover: () => after(3000, modern),
      initialize: () => after(2000, 0).then(() => Promise.reject(no)),
    });
    await vi.advanceTimersByTimeAsync(3100);
    expect(await opened).toBe("modern");
  });

  it("is used in the older era for now where it takes both, which is noted", async () => {
    const { opened } = server({
      discover: () => after(3000, modern),
      initialize: () => after(2100, "older"),
    });
    await vi.advanceTimersByTimeAsync(3100);
    expect(await opened).toBe("older, and modern");
  });

  it("is given up with the refusal where it never does", async () => {
    const { opened } = server({ discover: never, initialize: () => Promise.reject(no) });
    const outcome = outcomeOf(opened);
    await vi.advanceTimersByTimeAsync(2000);
    expect(await outcome).toBe(no);
  });
});

describe("a server of the older era", () => {
  it("is initialised without a probe", async () => {
    const { opened, tried } = server({ opening: "initialize" });
    expect(await opened).toBe("older");
    expect(tried).toEqual(["initialize", "answered"]);
  });

  it("is probed when it says no, and used in the newer era if it has come to that", async () => {
    const { opened, tried } = server({
      opening: "initialize",
      initialize: () => Promise.reject(no),
    });
    expect(await opened).toBe("modern");
    expect(tried.slice(0, 3)).toEqual(["initialize", "answered", "discover"]);
  });

  it("is not probed when it ends or stays silent", async () => {
    const gone = new Error("gone");
    const { opened, tried } = server({
      opening: "initialize",
      initialize: () => Promise.reject(gone),
    });
    expect(await outcomeOf(opened)).toBe(gone);
    expect(tried).toEqual(["initialize"]);
  });
});

describe("Turn", () => {
  it("probes who is not known or speaks the newer era, and nobody else", () => {
    expect(new Turn().begin(undefined)).toBe("discover");
    expect(new Turn().begin(modern)).toBe("discover");
    expect(new Turn().begin(info("2025-11-25"))).toBe("initialize");
    expect(new Turn().begin(info("2025-11-25", { isModernToo: true }))).toBe("discover");
  });

  it("begins with the other where one was not answered, until one is", () => {
    const turn = new Turn();
    const begun = [1, 2, 3].map(() => turn.begin(undefined));
    expect(begun).toEqual(["discover", "initialize", "discover"]);
    turn.answered();
    expect(turn.begin(undefined)).toBe("discover");
  });

  it("waits for the probe's answer as long as it can where it is known to come", () => {
    expect(patience(undefined, 30_000)).toBe(2000);
    expect(patience(undefined, 300)).toBe(150);
    expect(patience(modern, 30_000)).toBe(30_000);
  });
});
