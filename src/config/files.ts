import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { messageOf } from "../errors.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The text of a file in UTF-8, less its byte order mark. Rejects for any other file. */
export const readText = async (path: string): Promise<string> => utf8.decode(await readFile(path));

/** As `readText`, at once. */
export const readTextSync = (path: string): string => utf8.decode(readFileSync(path));

/** Why a file could not be read, in words. */
export function whyUnreadable(error: unknown): string {
  switch (codeOf(error)) {
    case "ENOENT":
    case "ENOTDIR":
      return "the file does not exist";
    case "EISDIR":
      return "expected a file, got a folder";
    case "EACCES":
    case "EPERM":
      return "no permission to read the file";
    case "ERR_ENCODING_INVALID_ENCODED_DATA":
      return "the file is not text in UTF-8";
    default:
      return messageOf(error);
  }
}

/** Whether a file could not be read because there is none. */
export const isMissing = (error: unknown): boolean =>
  ["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "");

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
