import type { JsonObject } from "../call.ts";
import { messageOf } from "../errors.ts";
import { compilePattern } from "../policies/retry-options.ts";

/** What came of an input: with the schema's defaults in it, or a line for each thing that is wrong. */
export type Fitted = { readonly input: JsonObject } | { readonly problems: readonly string[] };

type Validate = (input: JsonObject) => Fitted;

/** Things wrong with one input that are told. */
const mostProblems = 20;

const compiled = new WeakMap<object, Promise<Validate>>();

/** Fits an input to a definition's `inputSchema`. Never rejects. */
export async function fitInput(schema: JsonObject, input: JsonObject): Promise<Fitted> {
  let validate = compiled.get(schema);
  if (validate === undefined) compiled.set(schema, (validate = compile(schema)));
  return (await validate)(input);
}

/** Ajv is loaded when first needed, and goes with the schema that it was made for. */
async function compile(schema: JsonObject): Promise<Validate> {
  const [{ Ajv }, { default: formats }] = await Promise.all([import("ajv"), import("ajv-formats")]);
  const ajv = new Ajv({
    strict: false,
    validateSchema: false,
    allErrors: true,
    useDefaults: true,
    // No pattern of a schema can run for long.
    code: {
      regExp: Object.assign((source: string) => compilePattern(source), { code: "" }),
    },
  });
  formats.default(ajv);
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
    const problem = `the inputSchema cannot be used: ${messageOf(error)}`;
    return () => ({ problems: [problem] });
  }
}
