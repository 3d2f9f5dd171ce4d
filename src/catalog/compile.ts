import type { CompileError } from "./schemas.ts";
import { messageOf } from "../errors.ts";

/**
 * Compiles a JSON Schema as the MCP SDK's client does (Ajv with formats, not strict), since that is what
 * hosts do with an output schema. Loaded when first needed. Ajv keeps what it compiles, so each list gets
 * a compiler of its own that goes with it.
 */
export async function loadCompiler(): Promise<CompileError> {
  const { makeAjv } = await import("../ajv.ts");
  const ajv = makeAjv();
  return (schema) => {
    try {
      ajv.compile(schema);
      return undefined;
    } catch (error) {
      return messageOf(error);
    } finally {
      ajv.removeSchema(schema); // else a second schema with the same $id is refused
    }
  };
}
