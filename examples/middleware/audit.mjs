// A middleware of one's own: writes a line for each call that may change something, once it has ended.
// In servers.json: "middleware": ["examples/middleware/audit.mjs"]
import { appendFile } from "node:fs/promises";
import process from "node:process";

const file = process.env["AUDIT_FILE"] ?? "audit.jsonl";

/** @type {import("holdfast").Middleware} */
const audit = (next) => async (call) => {
  if (call.tool === undefined || call.tool.effect === "read") return next(call);
  const write = (outcome) => {
    const { principal, session, client } = call.caller;
    const entry = {
      at: new Date().toISOString(),
      tool: call.tool.name,
      principal,
      session,
      client,
    };
    return appendFile(file, `${JSON.stringify({ ...entry, trace: call.trace, outcome })}\n`);
  };
  try {
    const result = await next(call);
    await write(result["isError"] === true ? "refused" : "done");
    return result;
  } catch (error) {
    await write(error.outcome ?? "unknown");
    throw error;
  }
};

export default audit;
