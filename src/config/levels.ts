/** A policy's options at one level of the file; false switches the policy off. */
export type Level<Options> = Partial<Options> | false | undefined;

/**
 * The options of all the levels, the outermost first. Inner ones win key by key; those inside of a `false`
 * start from nothing.
 */
export const mergeLevels = <Options extends object>(
  levels: readonly Level<Options>[],
): Partial<Options> | false =>
  levels.reduce<Partial<Options> | false>((outer, inner) => {
    if (inner === undefined) return outer;
    return inner === false ? false : { ...outer, ...inner };
  }, {});
