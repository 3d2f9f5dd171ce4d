import { expect, test } from "vitest";
import { jsonSchema } from "../../src/config/json-schema.ts";
import { tables, row, type Option } from "../support/generated-table.ts";

interface Schema {
  readonly definitions: Readonly<Record<string, Option>>;
}

const { definitions } = jsonSchema() as unknown as Schema;

/** What an option is where it refers to another place of the schema. */
function resolved(option: Option): Option {
  const refs = [option, ...(option.allOf ?? []), ...(option.anyOf ?? [])];
  const name = refs.flatMap(({ $ref }) => $ref?.split("/").at(-1) ?? [])[0];
  if (name === undefined || name === "step") return option;
  const target = definitions[name];
  return {
    ...target,
    ...option,
    ...(target?.properties !== undefined && { properties: target.properties }),
  };
}

/** A row for each key, and for each key within it. */
const rows = (option: Option, prefix = ""): string[] =>
  Object.entries(option.properties ?? {}).flatMap(([key, value]) => {
    const whole = resolved(value);
    return [row(prefix + key, whole), ...rows(whole, `${prefix}${key}.`)];
  });

test("the table of a step's keys is what the schema says (UPDATE=1 writes it)", () => {
  const { found, wanted } = tables("docs/workflows.md", "step", rows(definitions["step"] ?? {}));
  expect(found).toBe(wanted);
});

test("so is the table of a definition's keys", () => {
  const { properties = {} } = definitions["saga"] ?? {};
  const own = Object.entries(properties).map(([key, option]) => row(key, option));
  const { found, wanted } = tables("docs/workflows.md", "definition", own);
  expect(found).toBe(wanted);
});
