import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";

const env = { GITHUB_TOKEN: "ghp_1", HOLDFAST_INPUT_PERPLEXITY_KEY: "pplx_1" };

const parse = (text: string, file = "/work/app/servers.json") =>
  parseConfig(text, {
    file,
    env,
    home: "/home/me",
    readFile: (path) => {
      if (path !== "/work/app/.env") throw new Error(`asked for ${path}`);
      return 'API_KEY="from file"\nMODE=file\n';
    },
  });

describe("files of clients are accepted as they are", () => {
  test("Claude Desktop", () => {
    const config = parse(`{
      "globalShortcut": "Ctrl+Space",
      "mcpServers": {
        "filesystem": {
          "command": "npx",
          "args": ["-y", "@modelcontextprotocol/server-filesystem", "/Users/me/Desktop"]
        },
        "github": {
          "command": "npx",
          "args": ["-y", "@modelcontextprotocol/server-github"],
          "env": { "GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_literal" }
        }
      }
    }`);
    expect(
      config.servers.map(({ name, prefix, transport }) => ({ name, prefix, transport })),
    ).toEqual([
      {
        name: "filesystem",
        prefix: "filesystem",
        transport: {
          kind: "stdio",
          command: "npx",
          args: ["-y", "@modelcontextprotocol/server-filesystem", "/Users/me/Desktop"],
          env: {},
          cwd: "/work/app",
        },
      },
      {
        name: "github",
        prefix: "github",
        transport: {
          kind: "stdio",
          command: "npx",
          args: ["-y", "@modelcontextprotocol/server-github"],
          env: { GITHUB_PERSONAL_ACCESS_TOKEN: "ghp_literal" },
          cwd: "/work/app",
        },
      },
    ]);
    expect(config.warnings).toEqual([
      "/work/app/servers.json:2:7: globalShortcut: unknown key, ignored",
    ]);
  });

  test("Claude Code, .mcp.json", () => {
    const { servers, warnings } = parse(
      `{
        "mcpServers": {
          "local": { "type": "stdio", "command": "\${HOME_BIN:-/usr/bin}/server", "args": [], "env": {} },
          "remote": {
            "type": "http",
            "url": "https://api.githubcopilot.com/mcp/",
            "headers": { "Authorization": "Bearer \${GITHUB_TOKEN}" }
          },
          "old": { "type": "sse", "url": "https://mcp.example.com/sse" }
        }
      }`,
      "/work/app/.mcp.json",
    );
    expect(servers.map(({ transport }) => transport)).toEqual([
      { kind: "stdio", command: "/usr/bin/server", args: [], env: {}, cwd: "/work/app" },
      {
        kind: "http",
        url: "https://api.githubcopilot.com/mcp/",
        headers: { Authorization: "Bearer ghp_1" },
      },
      { kind: "sse", url: "https://mcp.example.com/sse", headers: {} },
    ]);
    expect(warnings).toEqual([]);
  });

  test("Cursor, .cursor/mcp.json", () => {
    const { servers, warnings } = parse(
      `{
        "mcpServers": {
          "local": {
            "type": "stdio",
            "command": "python",
            "args": ["\${workspaceFolder}/tools/mcp_server.py"],
            "env": { "MODE": "env" },
            "envFile": "\${workspaceFolder}/.env"
          },
          "remote": {
            "url": "https://api.example.com/mcp",
            "headers": { "Authorization": "Bearer \${env:GITHUB_TOKEN}" }
          }
        }
      }`,
      "/work/app/.cursor/mcp.json",
    );
    expect(servers.map(({ transport }) => transport)).toEqual([
      {
        kind: "stdio",
        command: "python",
        args: ["/work/app/tools/mcp_server.py"],
        env: { API_KEY: "from file", MODE: "env" },
        cwd: "/work/app",
      },
      {
        kind: "http",
        url: "https://api.example.com/mcp",
        headers: { Authorization: "Bearer ghp_1" },
      },
    ]);
    expect(warnings).toEqual([]);
  });

  test("VS Code, .vscode/mcp.json with inputs, comments and trailing commas", () => {
    const { servers, warnings } = parse(
      `\uFEFF{
        // asked for once
        "inputs": [
          {
            "type": "promptString",
            "id": "perplexity-key",
            "description": "Perplexity API Key",
            "password": true,
          },
          { "type": "pickString", "id": "model", "options": ["sonar", "pro"], "default": "sonar" },
        ],
        "servers": {
          /* a server of an npm package */
          "perplexity": {
            "type": "stdio",
            "command": "npx",
            "args": ["-y", "server-perplexity-ask", "\${input:model}"],
            "env": { "PERPLEXITY_API_KEY": "\${input:perplexity-key}", "RETRIES": 3, "PROXY": null },
            "dev": { "watch": "src/**/*.ts", "debug": { "type": "node" } },
          },
          "gallery.one": {
            "type": "http",
            "url": "https://example.com/mcp",
            "gallery": "https://api.mcp.github.com",
            "version": "1.0.0",
          },
        },
      }`,
      "/work/app/.vscode/mcp.json",
    );
    expect(servers.map(({ name, transport }) => ({ name, transport }))).toEqual([
      {
        name: "perplexity",
        transport: {
          kind: "stdio",
          command: "npx",
          args: ["-y", "server-perplexity-ask", "sonar"],
          env: { PERPLEXITY_API_KEY: "pplx_1", RETRIES: "3" },
          cwd: "/work/app",
        },
      },
      {
        name: "gallery.one",
        transport: { kind: "http", url: "https://example.com/mcp", headers: {} },
      },
    ]);
    expect(warnings).toEqual([]);
  });

  test("the user settings of VS Code", () => {
    const { servers, warnings } = parse(`{
      "editor.fontSize": 14,
      "files.autoSave": "off",
      "mcp": {
        "inputs": [{ "id": "token", "type": "promptString", "default": "none" }],
        "servers": { "one": { "url": "https://example.com/mcp?token=\${input:token}" } }
      }
    }`);
    expect(servers).toMatchObject([
      { name: "one", transport: { kind: "http", url: "https://example.com/mcp?token=none" } },
    ]);
    expect(warnings).toEqual([
      '/work/app/servers.json:2:7: ["editor.fontSize"]: unknown key, ignored; so are "files.autoSave" beside it',
    ]);
  });

  test("GitHub Copilot, with a list of tools", () => {
    const { servers, warnings } = parse(`{
      "mcpServers": {
        "serena": { "type": "local", "command": "uvx", "args": ["serena"], "tools": ["find_*"] },
        "all": { "type": "http", "url": "https://example.com/mcp", "tools": ["*"] }
      }
    }`);
    expect(servers).toMatchObject([
      { transport: { kind: "stdio" }, allow: ["find_*"], deny: [] },
      { transport: { kind: "http" }, allow: ["*"], deny: [] },
    ]);
    expect(warnings).toEqual([]);
  });

  test("mcp-hub, mcphub and 1mcp, with extras", () => {
    const { servers, warnings } = parse(`{
      "mcpServers": {
        "a": {
          "type": "streamable-http",
          "url": "http://localhost:3000/mcp",
          "enabled": false,
          "tags": ["web", "dev"]
        },
        "b": {
          "type": "streamableHttp",
          "url": "http://localhost:3001/mcp",
          "disabled": false,
          "enabled": true,
          "disabledTools": ["delete_all"],
          "tools": { "deny": ["drop_*"] },
          "connectionTimeout": 5000,
          "requestTimeout": 120000
        }
      }
    }`);
    expect(servers).toMatchObject([
      { transport: { kind: "http" }, disabled: true },
      {
        transport: { kind: "http" },
        disabled: false,
        deny: ["drop_*", "delete_all"],
        startTimeoutMs: 5000,
        policies: { timeout: { attemptMs: 120_000 } },
      },
    ]);
    expect(warnings).toEqual([]);
  });
});

test("both kinds of sections are used, mcpServers first", () => {
  const { servers } = parse(`{
    "servers": { "late": { "command": "x" } },
    "mcpServers": { "early": { "command": "x" } }
  }`);
  expect(servers.map(({ name }) => name)).toEqual(["early", "late"]);
});

test("servers keep the order of the file, even when their names are numbers", () => {
  const { servers } = parse(`{
    "mcpServers": { "z": { "command": "x" }, "2": { "command": "x" }, "1": { "command": "x" } }
  }`);
  expect(servers.map(({ name }) => name)).toEqual(["z", "2", "1"]);
});

test("a file without any server is fine when it is empty or says so", () => {
  expect(parse("{}").servers).toEqual([]);
  expect(parse('{ "mcpServers": {} }').servers).toEqual([]);
});
