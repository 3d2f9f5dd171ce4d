import { randomUUID } from "node:crypto";
import { backoff } from "../backoff.ts";
import type { Call, JsonObject, Result } from "../call.ts";
import { Cancel } from "../cancel.ts";
import { CallError, messageOf } from "../errors.ts";
import type { Peer } from "../peer.ts";
import { isAble, isQuestion } from "../questions.ts";
import { orCancelled, pause } from "../wait.ts";
import { isObject } from "../wire.ts";
import { keptAlive } from "./alive.ts";

/** A server that asks again and again is left after so many answers. */
const mostRounds = 20;
/** Between two rounds of a server that asks nothing, and wants to be called again. */
const pauses = { initialDelayMs: 250, factor: 2, maxDelayMs: 5000, jitter: "none" } as const;

/** The client behind a call, and what the server was told that it can do. */
export interface Client {
  readonly peer: Peer | undefined;
  readonly capabilities: JsonObject;
}

/** Whether an answer is that the server needs input first. */
export const needsInput = (result: Result): boolean => result["resultType"] === "input_required";

/**
 * Asks the client what the server wants to know, and sends the call again with that, until the server has all it
 * needs. `send` is to give answers as they come. Rejects where the client cannot be asked, or does not answer.
 */
export async function withInput(
  call: Call,
  client: Client,
  first: Result,
  send: (call: Call) => Promise<Result>,
): Promise<Result> {
  let result = first;
  for (let round = 1; round <= mostRounds; round++) {
    const { inputRequests, requestState } = result;
    const asks = isObject(inputRequests) && Object.keys(inputRequests).length > 0;
    const params: JsonObject = { ...call.params };
    // oxlint-disable no-await-in-loop -- one round after the other
    if (asks) params["inputResponses"] = await answers(call, client, inputRequests);
    else await keptAlive(call, pause(call, backoff(round, pauses)));
    if (requestState !== undefined) params["requestState"] = requestState;
    result = await send({ ...call, params });
    // oxlint-enable no-await-in-loop
    if (!needsInput(result)) return result;
  }
  throw failed(call, "upstream_error", `asked for input ${mostRounds} times and came to no end`);
}

/** The client's answers to all that a server asks, side by side. */
export async function answers(
  call: Call,
  client: Client,
  inputRequests: JsonObject,
): Promise<JsonObject> {
  const stop = new Cancel();
  call.signal.subscribe(stop);
  const signal = stop.abortSignal();
  try {
    const all = Promise.all(
      Object.entries(inputRequests).map(
        async ([key, request]) => [key, await answer(call, client, request, signal)] as const,
      ),
    );
    return Object.fromEntries(await orCancelled(keptAlive(call, all), call.signal));
  } catch (error) {
    // The other questions are of no use any more.
    if (error instanceof CallError) stop.cancel(error);
    throw error;
  } finally {
    call.signal.unsubscribe(stop);
  }
}

async function answer(
  call: Call,
  { peer, capabilities }: Client,
  request: unknown,
  signal: AbortSignal,
): Promise<Result> {
  const { method, params } = isObject(request) ? request : {};
  const given = isObject(params) ? params : {};
  if (typeof method !== "string" || !isQuestion(method))
    throw failed(call, "upstream_error", `asks its client what no client can answer`);
  if (peer === undefined || !isAble(capabilities, method, given))
    throw failed(call, "denied", `needs ${method} of its client first, which is not to be had`);
  try {
    return await peer.ask(call.upstream, method, asBefore(method, given), signal);
  } catch (error) {
    const why = `needs ${method} of its client first, which answered: ${messageOf(error)}`;
    throw failed(call, "denied", why, error);
  }
}

/** The same as a client of the older era knows it: there, what is opened in a browser has an id. */
const asBefore = (method: string, params: JsonObject): JsonObject =>
  method === "elicitation/create" && params["mode"] === "url"
    ? { elicitationId: randomUUID(), ...params }
    : params;

/** Of a call that its server has not begun. */
const failed = (
  { upstream }: Call,
  code: "denied" | "upstream_error",
  why: string,
  cause?: unknown,
): CallError =>
  new CallError(code, `${upstream} ${why}`, {
    outcome: "failed",
    upstream,
    local: code === "denied",
    cause,
  });
