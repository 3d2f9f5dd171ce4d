import type { Gateway } from "../gateway.ts";

/** What clients of either era are told that they can use; which servers have it shows in the lists. */
export const commonCapabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  completions: {},
  logging: {},
};

/** What the servers say to models about their use; undefined where none says anything. */
export function instructionsOf({ upstreams }: Gateway): string | undefined {
  const texts = upstreams.flatMap((upstream) => {
    const text = upstream.instructions();
    return text === undefined ? [] : `# ${upstream.name}\n\n${text}`;
  });
  return texts.length === 0 ? undefined : texts.join("\n\n");
}
