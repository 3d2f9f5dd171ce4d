import type { JsonObject } from "../call.ts";
import { messageOf } from "../errors.ts";

/** What came of an input: with the schema's defaults in it, or a line for each thing that is wrong. */
export type Fitted = { readonly input: JsonObject } | { readonly problems: readonly string[] };

type Validate = (input: JsonObject) => Fitted;

/** Things wrong with one input that are told. */
const mostProblems = 20;

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
  const [{ makeAjv }, { RE2JS }] = await Promise.all([import("../ajv.ts"), import("re2js")]);
  const ajv = makeAjv({
    useDefaults: true,
    // No pattern of a schema can run for long.
    code: {
      regExp: Object.assign((source: string) => RE2JS.compile(source), { code: "" }),
    },
  });
  try {
    // An asynchronous schema would answer with a promise, which is no verdict.
    const validate = ajv.compile({ type: "object", ...schema, $async: false });
    return (given) => {
      try {
        const input = structuredClone(given);
        if (validate(input)) return { input };
      } catch (error) {
        return { problems: [`input: ${messageOf(error)}`] };
      }
      const errors = validate.errors ?? [];
      const problems = errors
        .slice(0, mostProblems)
        .map(
          ({ instancePath, message = "does not fit" }) =>
            `input${instancePath.replaceAll("/", ".")}: ${message}`,
        );
      const more = errors.length - problems.length;
      return { problems: more > 0 ? [...problems, `input: ${more} more`] : problems };
    };
  } catch (error) {
    return `the inputSchema cannot be used: ${messageOf(error)}`;
  }
}
