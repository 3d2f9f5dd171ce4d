import { messageOf } from "../../errors.ts";
import { LeaseLost, StoreFailed, type RunStore } from "../../workflows/run-store.ts";
import type { Place } from "./place.ts";

/** What the thread is given when it starts. */
export interface ThreadData {
  readonly place: Place;
  readonly token: string;
  /** In milliseconds. */
  readonly leaseMs: number;
}

export type Method = Exclude<keyof RunStore, "token"> | "renew";

/** Asks the thread to call a method of its store. */
export interface Request {
  readonly id: number;
  readonly method: Method;
  readonly args: readonly unknown[];
}

/** What came of it. */
export type Response =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SentError };

interface SentError {
  readonly name: string;
  readonly message: string;
  readonly isInDoubt: boolean;
}

/** The error that the thread's store has rejected with. */
export const errorOf = ({ name, message, isInDoubt }: SentError): Error =>
  name === "LeaseLost" ? new LeaseLost(message) : new StoreFailed(message, { isInDoubt });

/** An error of the thread's store as it is sent. */
export const sent = (error: unknown): SentError => ({
  name: error instanceof Error ? error.name : "",
  message: messageOf(error),
  isInDoubt: error instanceof StoreFailed && error.isInDoubt,
});
