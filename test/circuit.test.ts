import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Circuit, type CircuitOptions, type CircuitOutcome } from "../src/circuit.ts";

const defaults: CircuitOptions = {
  consecutiveFailures: 5,
  failureRatio: 0.5,
  minimumCalls: 10,
  windowMs: 30_000,
  slowCallMs: 0,
  slowCallRatio: 0.5,
  openMs: 1000,
  maxOpenMs: 5000,
  halfOpenCalls: 1,
  force: "auto",
};

function setUp(over: Partial<CircuitOptions> = {}) {
  const moves: string[] = [];
  const opens: (number | undefined)[] = [];
  const circuit = new Circuit({ ...defaults, ...over }, (_from, to, _reason, openMs) => {
    moves.push(to);
    if (to === "open") opens.push(openMs);
  });
  const calls = (count: number, outcome: CircuitOutcome, at = 0, ms = 1): void => {
    for (let n = 0; n < count; n++) circuit.leave(circuit.enter(at), outcome, ms, at);
  };
  return { circuit, moves, opens, calls };
}

describe("Circuit", () => {
  it("opens after so many failures in a row", () => {
    const { circuit, calls } = setUp();
    calls(4, "failure");
    calls(1, "success");
    calls(4, "failure");
    expect(circuit.state).toBe("closed");
    calls(1, "failure");
    expect(circuit.state).toBe("open");
    expect(circuit.enter(999)).toBe(-1);
  });

  it("opens at a share of failures, but not for few calls", () => {
    const { circuit, calls } = setUp({ consecutiveFailures: 0 });
    calls(4, "success");
    calls(5, "failure");
    expect(circuit.state).toBe("closed");
    calls(1, "failure");
    expect(circuit.state).toBe("open");
  });

  it("forgets what is older than its window", () => {
    const { circuit, calls } = setUp({ consecutiveFailures: 0 });
    calls(9, "failure", 0);
    calls(1, "failure", 40_000);
    expect(circuit.state).toBe("closed");
  });

  it("opens at a share of slow calls", () => {
    const { circuit, calls } = setUp({ slowCallMs: 100 });
    calls(5, "success", 0, 10);
    calls(4, "success", 0, 200);
    expect(circuit.state).toBe("closed");
    calls(1, "success", 0, 200);
    expect(circuit.state).toBe("open");
  });

  it("counts nothing that says nothing about the upstream", () => {
    const { circuit, calls } = setUp();
    calls(4, "failure");
    calls(100, "ignored");
    expect(circuit.state).toBe("closed");
    calls(1, "failure");
    expect(circuit.state).toBe("open");
  });

  it("lets one probe through when its time is over, and closes when that succeeds", () => {
    const { circuit, calls, moves } = setUp();
    calls(5, "failure");
    const probe = circuit.enter(1000);
    expect(probe).not.toBe(-1);
    expect(circuit.enter(1000)).toBe(-1);
    circuit.leave(probe, "success", 1, 1001);
    expect(moves).toEqual(["open", "half-open", "closed"]);
    expect(circuit.enter(1002)).not.toBe(-1);
  });

  it("wants as many successes as it lets probes through", () => {
    const { circuit, calls } = setUp({ halfOpenCalls: 3 });
    calls(5, "failure");
    const probes = [1, 2, 3, 4].map(() => circuit.enter(1000));
    expect(probes[3]).toBe(-1);
    for (const probe of probes.slice(0, 2)) circuit.leave(probe, "success", 1, 1000);
    expect(circuit.state).toBe("half-open");
    circuit.leave(probes[2] ?? -1, "success", 1, 1000);
    expect(circuit.state).toBe("closed");
  });

  it("opens for longer each time that a probe fails, up to a maximum, and for the first time again after it was closed", () => {
    const { circuit, calls, opens } = setUp();
    calls(5, "failure");
    for (let at = 1000; at < 40_000; at += 5000) calls(1, "failure", at);
    expect(opens.slice(0, 5)).toEqual([1000, 2000, 4000, 5000, 5000]);
    calls(1, "success", 100_000);
    calls(5, "failure", 100_000);
    expect(opens.at(-1)).toBe(1000);
    expect(circuit.retryAfterMs(100_400)).toBe(600);
  });

  it("gives the place of a probe that says nothing to another", () => {
    const { circuit, calls } = setUp();
    calls(5, "failure");
    calls(3, "ignored", 1000);
    expect(circuit.state).toBe("half-open");
    calls(1, "success", 1000);
    expect(circuit.state).toBe("closed");
  });

  it("is moved by no late result of an older state", () => {
    const { circuit, calls } = setUp();
    const late = circuit.enter(0);
    calls(5, "failure");
    circuit.leave(late, "success", 1, 10);
    expect(circuit.state).toBe("open");
    const probe = circuit.enter(1000);
    circuit.leave(late, "failure", 1, 1000);
    expect(circuit.state).toBe("half-open");
    circuit.leave(probe, "success", 1, 1000);
    for (let n = 0; n < 10; n++) circuit.leave(probe, "failure", 1, 1000);
    expect(circuit.state).toBe("closed");
  });

  it("is held open or closed by hand", () => {
    const open = setUp({ force: "open" });
    expect(open.circuit.enter(1e9)).toBe(-1);
    expect(open.circuit.state).toBe("open");
    const closed = setUp({ force: "closed" });
    closed.calls(100, "failure");
    expect(closed.circuit.state).toBe("closed");
  });

  it("never has more probes under way than it may, and lets calls through only when it may, whatever comes", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("enter" as const), after: fc.integer({ min: 0, max: 3000 }) }),
      fc.record({
        kind: fc.constant("leave" as const),
        which: fc.nat(20),
        outcome: fc.constantFrom<CircuitOutcome>("success", "failure", "ignored"),
      }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 300 }),
        fc.integer({ min: 1, max: 4 }),
        (steps, most) => {
          let openedAt = 0;
          let at = 0;
          let openMs = 0;
          const circuit = new Circuit(
            { ...defaults, halfOpenCalls: most },
            (_, to, _reason, ms = 0) => {
              if (to === "open") [openedAt, openMs] = [at, ms];
            },
          );
          const underWay: { generation: number; state: string }[] = [];
          for (const one of steps) {
            if (one.kind === "enter") {
              at += one.after;
              const before = circuit.state;
              const generation = circuit.enter(at);
              if (before === "open" && generation !== -1)
                expect(at - openedAt).toBeGreaterThanOrEqual(openMs);
              if (before === "closed") expect(generation).not.toBe(-1);
              if (generation !== -1) underWay.push({ generation, state: circuit.state });
            } else {
              const [left] = underWay.splice(one.which, 1);
              if (left !== undefined) circuit.leave(left.generation, one.outcome, 1, at);
            }
            const newest = Math.max(...underWay.map(({ generation }) => generation));
            const probes = underWay.filter(
              ({ generation, state }) => state === "half-open" && generation === newest,
            );
            if (circuit.state === "half-open") expect(probes.length).toBeLessThanOrEqual(most);
            expect(openMs).toBeLessThanOrEqual(defaults.maxOpenMs);
          }
        },
      ),
    );
  });
});
