const PASSED = new Set(["SUCCESS", "INFO"]);

/**
 * What became of a scenario: the checks that failed or warned, and those that pass without the gateway but were lost on
 * the way.
 */
export function problemsOf(checks, direct) {
  const problems = new Map();
  for (const { id, status, errorMessage, description } of checks ?? [])
    if (status === "FAILURE" || status === "WARNING")
      problems.set(id, `${status.toLowerCase()}: ${errorMessage ?? description}`);
  const passed = new Set((checks ?? []).filter(isPassed).map(({ id }) => id));
  for (const check of direct ?? [])
    if (check.status === "SUCCESS" && !passed.has(check.id) && !problems.has(check.id))
      problems.set(check.id, "passes without the gateway, and is not even tried with it");
  if (checks === undefined) problems.set("*", "the scenario did not run");
  return problems;
}

/**
 * Judges one scenario on one way by what is expected of it. Adds the expectations that came true to `met`.
 * Gives a state (passed, failed, expected or notApplicable) and the problems that were not expected.
 */
export function judge({ suite, way, scenario }, checks, direct, expected, met) {
  const left = notApplicable(expected, way, scenario);
  if (left !== undefined) return { state: "notApplicable", reason: left, problems: [] };
  const problems = problemsOf(checks, direct);
  let excused = 0;
  for (const entry of expected.failures) {
    const fits =
      entry.scenario === scenario &&
      (entry.suite === undefined || entry.suite === suite) &&
      (entry.ways === undefined || entry.ways.includes(way));
    if (!fits || !problems.delete(entry.check)) continue;
    met.add(entry);
    excused += 1;
  }
  if (problems.size > 0)
    return { state: "failed", problems: [...problems].map(([id, why]) => `${id}: ${why}`) };
  if (excused > 0) return { state: "expected", problems: [] };
  const tried = checks.some(isPassed);
  return tried
    ? { state: "passed", problems: [] }
    : { state: "notApplicable", reason: "the suite skips it", problems: [] };
}

/** Why a scenario is left out on a way; undefined where it is not. A name that ends in `*` stands for what it begins. */
export function notApplicable(expected, way, scenario) {
  const fits = (name) =>
    name.endsWith("*") ? scenario.startsWith(name.slice(0, -1)) : scenario === name;
  return Object.entries(expected.notApplicable[way] ?? {}).find(([name]) => fits(name))?.[1];
}

/** A table of scenarios by ways, as text. */
export function tableOf(rows, title) {
  const marks = { passed: "passed", failed: "FAILED", expected: "expected", notApplicable: "–" };
  const names = rows.map(({ suite, scenario }) => `${suite} ${scenario}`);
  const width = Math.max(title.length, ...names.map(({ length }) => length));
  const line = (first, cells) =>
    [first.padEnd(width), ...cells.map((cell) => cell.padEnd(8))].join("  ").trimEnd();
  const states = rows.map(({ cells }) => Object.values(cells).map(({ state }) => marks[state]));
  return [
    line(title, Object.keys(rows[0].cells)),
    ...names.map((name, index) => line(name, states[index])),
  ].join("\n");
}

function isPassed({ status }) {
  return PASSED.has(status);
}
