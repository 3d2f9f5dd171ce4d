import type { JsonObject } from "../call.ts";
import { messageOf } from "../errors.ts";

/** What came of an input: with the schema's defaults in it, or a line for each thing that is wrong. */
export type Fitted = { readonly input: JsonObject } | { readonly problems: readonly string[] };

type Validate = (input: JsonObject) => Fitted;

/** By schema: how inputs are fitted to it, or why it cannot be used. */
const compiled = new WeakMap<object, Promise<Validate | string>>();

/** Fits an input to a definition's `inputSchema`. Never rejects. */
export async function fitInput(schema: JsonObject, input: JsonObject): Promise<Fitted> {
  const validate = await validatorOf(schema);
  return typeof validate === "string" ? { problems: [validate] } : validate(input);
}

/** Why an `inputSchema` cannot be used; undefined where it can. Never rejects. */
export async function schemaProblem(schema: JsonObject): Promise<string | undefined> {
  const validate = await validatorOf(schema);
  return typeof validate === "string" ? validate : undefined;
}

function validatorOf(schema: JsonObject): Promise<Validate | string> {
  let validate = compiled.get(schema);
  if (validate === undefined) compiled.set(schema, (validate = compile(schema)));
  return validate;
}

/** Ajv is loaded when first needed, and goes with the schema that it was made for. */
async function compile(schema: JsonObject): Promise<Validate | string> {
  const [{ Ajv }, { default: formats }, { RE2JS }] = await Promise.all([
    import("ajv"),
    import("ajv-formats"),
    import("re2js"),
  ]);
  const ajv = new Ajv({
    strict: false,
    validateSchema: false,
    allErrors: true,
    useDefaults: true,
    // No pattern of a schema can run for long.
    code: {
      regExp: Object.assign((source: string) => RE2JS.compile(source), { code: "" }),
    },
  });
  formats.default(ajv);
  try {
    const validate = ajv.compile({ type: "object", ...schema });
    return (given) => {
      const input = structuredClone(given);
      if (validate(input)) return { input };
      const problems = (validate.errors ?? []).map(
        ({ instancePath, message = "does not fit" }) =>
          `input${instancePath.replaceAll("/", ".")}: ${message}`,
      );
      return { problems };
    };
  } catch (error) {
    return `the inputSchema cannot be used: ${messageOf(error)}`;
  }
}
