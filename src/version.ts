import { readFileSync } from "node:fs";

/** The folder of the package: its parts are one folder deep in it, as they are written and as they are built. */
export const packageFolder = new URL("../", import.meta.url);

const { version } = JSON.parse(readFileSync(new URL("package.json", packageFolder), "utf8")) as {
  version: string;
};

/** How Holdfast names itself to servers and to clients. */
export const implementation = { name: "holdfast", version } as const;
