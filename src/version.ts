import { readFileSync } from "node:fs";

const { version } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8"),
) as { version: string };

/** How Holdfast names itself to servers and to clients. */
export const implementation = { name: "holdfast", version } as const;
