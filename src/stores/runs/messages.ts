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
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } };

/** The error that the thread's store has rejected with. */
export const errorOf = ({ name, message }: { name: string; message: string }): Error =>
  name === "LeaseLost" ? new LeaseLost(message) : new StoreFailed(message);
