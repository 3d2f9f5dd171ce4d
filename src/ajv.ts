/*
 * Ajv, which takes long to load: a module to be imported with `import()`, when it is first needed.
 */
import { Ajv, type Options } from "ajv";
import formats from "ajv-formats";

/** An Ajv with formats, which takes whatever schemas there are and tells all that is wrong. */
export function makeAjv(options: Options = {}): Ajv {
  const ajv = new Ajv({ strict: false, validateSchema: false, allErrors: true, ...options });
  formats.default(ajv);
  return ajv;
}
