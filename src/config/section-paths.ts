import type { Path } from "./problems.ts";

/** Where servers may stand in the file, first things first: the clients' way, VS Code's, its settings'. */
export const sections: readonly Path[] = [["mcpServers"], ["servers"], ["mcp", "servers"]];
