import { Writable } from "node:stream";
import { expect, it } from "vitest";
import { stderrSink } from "../../src/observe/sink.ts";

it("keeps 16 MiB of lines for a host that does not read stderr, and tells it how many it missed", () => {
  const got: string[] = [];
  let read = (): void => {};
  const stream = new Writable({
    write(chunk, _encoding, done) {
      got.push(String(chunk));
      read = done;
    },
  });
  const sink = stderrSink(stream);
  const line = "x".repeat(1024 * 1024);
  for (let n = 0; n < 20; n++) sink.write(line);
  expect(stream.writableLength).toBe(16 * (line.length + 1));
  while (stream.writableLength > 0) read();
  sink.write("last");
  expect(got.at(-1)).toBe("holdfast: stderr was not read: 4 lines were dropped\nlast\n");
  read();
  sink.write("and no more");
  expect(got.at(-1)).toBe("and no more\n");
});
