import type { CloudEvent, Notice } from "../../src/bus/cloud-event.ts";

/** An event on its way, of the caller "local" where nothing else is said. */
export const notice = (
  event: Partial<CloudEvent> = {},
  bytes = 10,
  over: Partial<Notice> = {},
): Notice => ({
  event: {
    specversion: "1.0",
    id: "1",
    source: "holdfast/users/local",
    type: "x",
    time: new Date().toISOString(),
    datacontenttype: "application/json",
    data: null,
    ...event,
  },
  owner: "local",
  depth: 0,
  bytes,
  ...over,
});
