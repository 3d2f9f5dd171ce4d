import * as z from "zod";
import { configFile } from "./schema.ts";

/** The JSON Schema of servers.json, for editors. Unknown keys pass, as most of them only warn. */
export const jsonSchema = (): z.core.JSONSchema.JSONSchema =>
  z.toJSONSchema(configFile, { io: "input", target: "draft-7" });
