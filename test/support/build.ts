import { execFileSync } from "node:child_process";

/** End-to-end tests run what users run: the compiled program. */
export default function build(): void {
  execFileSync("npm", ["run", "build"], { stdio: "inherit", shell: process.platform === "win32" });
}
