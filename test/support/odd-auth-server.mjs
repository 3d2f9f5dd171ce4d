// An MCP server by HTTP that wants authorisation, and its authorization server beside it on a port of its own. It
// prints both ports on the first line of stdout. GET /seen tells what it saw, POST /do/NAME makes it act.
//   node odd-auth-server.mjs [--expires=SECONDS] [--rotate=on] [--register=refuse] [--iss=wrong|missing]
//     [--consent=deny] [--resource=URL] [--step-up=on] [--redirect=elsewhere|moved] [--refresh=none|down]
//     [--endpoint=http://…] [--transport=http|sse]
import { createHash, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import process from "node:process";

const options = Object.fromEntries(
  process.argv.slice(2).map((argument) => argument.replace(/^--/, "").split(/=(.*)/s)),
);
const isSse = options.transport === "sse";
const text = (value) => ({ content: [{ type: "text", text: value }] });
/** Whoever finds it in a log knows where it came from. */
const secret = (kind) => `planted-${kind}-${randomUUID()}`;

const seen = {
  registrations: [],
  authorizations: [],
  exchanges: 0,
  renewals: 0,
  /** Refresh tokens that came a second time. */
  reused: 0,
  calls: [],
  initialised: 0,
  /** Tokens at places where none belongs. */
  stray: [],
};
const clients = new Map();
const codes = new Map();
/** Scopes by access token. */
const access = new Map();
/** What a refresh token is good for; used ones are kept. */
const refresh = new Map();
let sessions = new Set();
/** The stream of the last client by SSE. */
let stream;
let isDown = false;
let isCareless = false;

const acts = {
  /** Access tokens end. */
  expire: () => access.clear(),
  /** Refresh tokens end too. */
  revoke() {
    access.clear();
    refresh.clear();
  },
  forget: () => (sessions = new Set()),
  down: () => (isDown = true),
  up: () => (isDown = false),
  /** Renewals fail with an error that repeats what it was sent. */
  careless: () => (isCareless = true),
};

async function bodyOf(request) {
  let body = "";
  for await (const chunk of request) body += chunk;
  return body;
}

function send(response, status, body, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

function tokens(scope) {
  const token = secret("access");
  access.set(token, scope);
  const answer = { access_token: token, token_type: "Bearer", scope };
  if (options.expires !== undefined) answer.expires_in = Number(options.expires);
  if (options.refresh === "none") return answer;
  const next = secret("refresh");
  refresh.set(next, { scope, used: false });
  return { ...answer, refresh_token: next };
}

const grants = {
  authorization_code({ code, code_verifier: verifier, redirect_uri: redirect, resource }) {
    seen.exchanges++;
    const found = codes.get(code);
    codes.delete(code);
    const challenge = createHash("sha256")
      .update(verifier ?? "")
      .digest("base64url");
    const isRight =
      found?.challenge === challenge && found.redirect === redirect && found.resource === resource;
    return isRight ? tokens(found.scope) : undefined;
  },
  refresh_token({ refresh_token: token }) {
    seen.renewals++;
    const found = refresh.get(token);
    if (found === undefined || isCareless) return undefined;
    if (found.used) {
      // As OAuth 2.1 wants it: somebody has stolen it, so all are ended.
      seen.reused++;
      acts.revoke();
      return undefined;
    }
    found.used = options.rotate === "on";
    const fresh = tokens(found.scope);
    if (options.rotate !== "on") delete fresh.refresh_token;
    return fresh;
  },
};

const authorization = createServer(async (request, response) => {
  const url = new URL(request.url, `http://${request.headers.host}`);
  const { origin } = url;
  if (isDown && url.pathname === "/token") return send(response, 503, { detail: "down" });
  switch (url.pathname) {
    case "/.well-known/oauth-authorization-server":
      return send(response, 200, {
        issuer: origin,
        authorization_endpoint: `${options.endpoint ?? origin}/authorize`,
        token_endpoint: `${origin}/token`,
        registration_endpoint: `${origin}/register`,
        response_types_supported: ["code"],
        grant_types_supported: ["authorization_code", "refresh_token"],
        code_challenge_methods_supported: ["S256"],
        token_endpoint_auth_methods_supported: ["none", "client_secret_post"],
        authorization_response_iss_parameter_supported: true,
      });
    case "/register": {
      const metadata = JSON.parse(await bodyOf(request));
      seen.registrations.push(metadata);
      if (options.register === "refuse")
        return send(response, 400, {
          error: "invalid_redirect_uri",
          error_description: "not here",
        });
      const client = { ...metadata, client_id: randomUUID(), client_secret: secret("client") };
      clients.set(client.client_id, client);
      return send(response, 201, client);
    }
    case "/authorize": {
      const asked = Object.fromEntries(url.searchParams);
      seen.authorizations.push(asked);
      const back = new URL(asked.redirect_uri);
      const code = secret("code");
      codes.set(code, {
        challenge: asked.code_challenge,
        redirect: asked.redirect_uri,
        resource: asked.resource,
        scope: asked.scope,
      });
      back.searchParams.set("state", asked.state);
      if (options.consent === "deny") {
        back.searchParams.set("error", "access_denied");
        back.searchParams.set("error_description", "not today");
      } else back.searchParams.set("code", code);
      if (options.iss !== "missing")
        back.searchParams.set("iss", options.iss === "wrong" ? "http://evil.example" : origin);
      return send(response, 302, undefined, { location: back.href });
    }
    case "/token": {
      const form = Object.fromEntries(new URLSearchParams(await bodyOf(request)));
      const answer = grants[form.grant_type]?.(form);
      if (answer !== undefined) return send(response, 200, answer);
      // A careless server says again what it was told.
      const description = `no such grant: ${form.refresh_token ?? form.code}`;
      const error = isCareless ? "invalid_request" : "invalid_grant";
      return send(response, 400, { error, error_description: description });
    }
    default:
      if (request.headers.authorization !== undefined)
        seen.stray.push([url.pathname, request.headers.authorization]);
      return send(response, 404);
  }
});

const tools = {
  fail: () => undefined,
  tell: () => undefined,
  echo: ({ arguments: given }) => text(JSON.stringify(given ?? null)),
  write: () => text("written"),
};

const resource = createServer(async (request, response) => {
  const url = new URL(request.url, `http://${request.headers.host}`);
  const issuer = `http://127.0.0.1:${authorization.address().port}`;
  const metadata = `${url.origin}/.well-known/oauth-protected-resource/mcp`;
  if (url.pathname === "/seen") return send(response, 200, seen);
  if (url.pathname.startsWith("/do/")) return send(response, 200, [acts[url.pathname.slice(4)]()]);
  if (url.pathname === "/.well-known/oauth-protected-resource/mcp")
    return send(response, 200, {
      resource: options.resource ?? `${url.origin}/mcp`,
      authorization_servers: [issuer],
    });
  if (!["/mcp", "/moved"].includes(url.pathname)) return send(response, 404);
  const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? "")?.[1];
  const challenge = (error, scope) => ({
    "www-authenticate": `Bearer error="${error}", scope="${scope}", resource_metadata="${metadata}"`,
  });
  const scope = access.get(token);
  // It echoes what it was sent.
  if (scope === undefined)
    return send(response, 401, { refused: token }, challenge("invalid_token", "read"));
  if (options.redirect === "elsewhere")
    return send(response, 307, undefined, { location: `${issuer}/elsewhere` });
  if (options.redirect === "moved" && url.pathname === "/mcp")
    return send(response, 307, undefined, { location: "/moved" });
  if (isSse && request.method === "GET") {
    stream = response.writeHead(200, { "content-type": "text/event-stream" });
    return stream.write("event: endpoint\ndata: /mcp\n\n");
  }
  if (request.method !== "POST") return send(response, 405);
  const { id, method, params } = JSON.parse(await bodyOf(request));
  const result = (value, headers) => {
    const answer = { jsonrpc: "2.0", id, result: value };
    if (!isSse) return send(response, 200, answer, headers);
    stream.write(`data: ${JSON.stringify(answer)}\n\n`);
    send(response, 202);
  };
  if (method === "initialize") {
    const session = randomUUID();
    sessions.add(session);
    seen.initialised++;
    const info = {
      serverInfo: { name: "odd-auth", version: "1.0.0" },
      capabilities: { tools: {} },
    };
    return result(
      { ...info, protocolVersion: params.protocolVersion },
      { "mcp-session-id": session },
    );
  }
  if (!isSse && !sessions.has(request.headers["mcp-session-id"])) return send(response, 404);
  if (id === undefined) return send(response, 202);
  if (method === "tools/list")
    return result({
      tools: Object.keys(tools).map((name) => ({
        name,
        inputSchema: { type: "object" },
        annotations: { readOnlyHint: name === "echo" },
      })),
    });
  if (method !== "tools/call") return result({});
  if (params.name === "fail")
    return send(response, 500, { error: `what ${request.headers.authorization} wants` });
  if (params.name === "tell") {
    const error = { code: -1, message: `what ${request.headers.authorization} wants` };
    return send(response, 200, { jsonrpc: "2.0", id, error });
  }
  if (params.name === "write" && options["step-up"] === "on" && !scope.split(" ").includes("write"))
    return send(response, 403, {}, challenge("insufficient_scope", "write"));
  seen.calls.push(params.name);
  return result(tools[params.name](params));
});

for (const server of [resource, authorization])
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
process.stdout.write(`${resource.address().port} ${authorization.address().port}\n`);
