/*
 * Definitions as config has them: what is wrong with one is found when it is read.
 */
import type { z } from "zod";
import { checkShape } from "./check-shape.ts";
import { chain, saga, type Definition } from "./definition.ts";
import type { RunKind } from "./run-store.ts";

const shape =
  (kind: RunKind) =>
  (context: z.core.ParsePayload<Definition>): void => {
    for (const { path, message } of checkShape(context.value, kind).problems)
      context.issues.push({ code: "custom", message, path: [...path], input: context.value });
  };

export const checkedChain = chain.check(shape("chain"));
export const checkedSaga = saga.check(shape("saga"));
