import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { hasEnded, newToken } from "../../../src/stores/runs/owner.ts";

const token = newToken();
const [kernel = "", space = "", pid = "", start = "", random = ""] = token.split("/");
const otherBoot = "00000000-0000-4000-8000-000000000000";

/** A pid that was a process just now. */
async function deadPid(): Promise<string> {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  return String(child.pid);
}

describe("the token of a process", () => {
  it("is another each time", () => {
    expect(newToken()).not.toBe(token);
  });

  it("does not say that a living process has ended", () => {
    for (const local of [true, false]) expect(hasEnded(token, local)).toBe(false);
  });

  it.runIf(process.platform === "linux")("says that a process has ended", async () => {
    const dead = [kernel, space, await deadPid(), start, random].join("/");
    for (const local of [true, false]) expect(hasEnded(dead, local)).toBe(true);
  });

  it.runIf(process.platform === "linux")("knows another process with its pid", () => {
    const dead = [kernel, space, pid, `${Number(start) - 1}`, random].join("/");
    for (const local of [true, false]) expect(hasEnded(dead, local)).toBe(true);
  });

  it.runIf(process.platform === "linux")(
    "takes a process that nobody has waited for as ended",
    async () => {
      // The shell starts it and becomes a program that never waits.
      const parent = spawn("sh", ["-c", "sh -c : & echo $!; exec sleep 30"]);
      const [text] = (await once(parent.stdout, "data")) as [Buffer];
      const zombie = [kernel, space, text.toString().trim(), "1", random].join("/");
      expect(hasEnded(zombie, false)).toBe(true);
      parent.kill("SIGKILL");
    },
  );

  it.runIf(process.platform === "linux")(
    "says it of another boot only where all run on this machine",
    () => {
      const before = [otherBoot, space, pid, start, random].join("/");
      expect(hasEnded(before, true)).toBe(true);
      expect(hasEnded(before, false)).toBe(false);
    },
  );

  it("says nothing of another pid namespace, of one without a place, and of what is no token", async () => {
    const dead = await deadPid();
    const unknown = [
      [kernel, "pid%3A%5B1%5D", dead, start, random].join("/"),
      ["", "", dead, start, random].join("/"),
      ["host", "", dead, start, random].join("/"),
      [kernel, space, "0", start, random].join("/"),
      [kernel, space, "-1", start, random].join("/"),
      [kernel, space, "x", start, random].join("/"),
      [kernel, space, dead].join("/"),
      "",
      "worker-1",
      "%",
    ];
    for (const text of unknown) expect([text, hasEnded(text, true)]).toEqual([text, false]);
  });

  it.runIf(process.platform === "linux")(
    "says nothing of a process without a start time that is there",
    () => {
      expect(hasEnded([kernel, space, pid, "", random].join("/"), true)).toBe(false);
    },
  );
});
