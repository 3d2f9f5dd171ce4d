import fc from "fast-check";
import { expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";
import { configFile, serverEntry } from "../../src/config/schema.ts";

const anything = fc.jsonValue({ maxDepth: 3 });
const keysOf = (shape: object) => fc.constantFrom(...Object.keys(shape), "__proto__", "x");
const server = fc.dictionary(keysOf(serverEntry.shape), anything);
const servers = fc.dictionary(fc.constantFrom("a", "b", "1", "__proto__", "constructor"), server);
const file = fc
  .tuple(fc.dictionary(keysOf(configFile.shape), anything), servers)
  .map(([rest, mcpServers]) => ({ ...rest, mcpServers }));

test("any JSON is either a config or a ConfigError that names a place", () => {
  fc.assert(
    fc.property(fc.oneof(anything, file), (content) => {
      try {
        parseConfig(JSON.stringify(content), {
          file: "/w/f.json",
          env: {},
          home: "/h",
          readFile: () => "",
        });
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        expect(String(error)).toMatch(/\/w\/f\.json:\d+:\d+: /);
      }
    }),
    { numRuns: 300 },
  );
});
