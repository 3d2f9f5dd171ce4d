/** The longest time that any option may ask for, in milliseconds: a day. */
export const longestMs = 86_400_000;
