import { PassThrough } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Result } from "../src/call.ts";
import {
  forgetText,
  keepText,
  lineReader,
  LineWriter,
  parseMessages,
  resultLine,
} from "../src/wire.ts";

const read = (chunks: Buffer[], limit?: number): { lines: string[]; tooLong: number } => {
  const lines: string[] = [];
  let tooLong = 0;
  const take = lineReader(
    (line) => lines.push(line),
    () => tooLong++,
    limit,
  );
  for (const chunk of chunks) take(chunk);
  return { lines, tooLong };
};

describe("lineReader", () => {
  it("finds the same lines wherever the stream is cut, within characters too", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "grapheme", minLength: 1 }).map((s) => s.replaceAll("\n", "-"))),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        (lines, sizes) => {
          const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
          const chunks: Buffer[] = [];
          for (let at = 0, n = 0; at < bytes.length; n++) {
            const size = sizes[n % sizes.length] ?? 1;
            chunks.push(bytes.subarray(at, at + size));
            at += size;
          }
          expect(read(chunks).lines).toEqual(lines);
        },
      ),
    );
  });

  it("leaves out empty lines", () => {
    expect(read([Buffer.from("a\n\n\nb\n")]).lines).toEqual(["a", "b"]);
  });

  it("keeps nothing of a line over the limit, says so once, and goes on with the next", () => {
    const long = Buffer.from("x".repeat(6));
    expect(read([long, long, Buffer.from("y\nshort\n")], 10)).toEqual({
      lines: ["short"],
      tooLong: 1,
    });
    expect(read([Buffer.from("x".repeat(11)), Buffer.from("\nab\n")], 10)).toEqual({
      lines: ["ab"],
      tooLong: 1,
    });
    expect(read([Buffer.from(`${"x".repeat(11)}\nab\n`)], 10)).toEqual({
      lines: ["ab"],
      tooLong: 1,
    });
  });
});

describe("LineWriter", () => {
  it("writes the lines of one turn in one chunk", async () => {
    const stream = new PassThrough();
    const chunks: string[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(String(chunk)));
    const writer = new LineWriter(stream);
    writer.write("a");
    writer.write("b");
    await new Promise(setImmediate);
    writer.write("c");
    await new Promise(setImmediate);
    expect(chunks).toEqual(["a\nb\n", "c\n"]);
  });

  it("tells when the other side reads too slowly, and when it has caught up", async () => {
    const stream = new PassThrough({ highWaterMark: 4 });
    const pressure: boolean[] = [];
    const writer = new LineWriter(stream, (slow) => pressure.push(slow));
    writer.write("long enough");
    await new Promise(setImmediate);
    expect(pressure).toEqual([true]);
    stream.resume();
    await new Promise(setImmediate);
    expect(pressure).toEqual([true, false]);
  });

  it("drops what is written after the stream has ended", async () => {
    const stream = new PassThrough();
    stream.on("error", (error) => expect.unreachable(String(error)));
    const writer = new LineWriter(stream);
    stream.destroy();
    writer.write("late");
    await new Promise(setImmediate);
  });
});

/** The result of an answer that came as that line. */
function kept(line: string): Result {
  const answer = JSON.parse(line) as { result: Result };
  keepText(answer, line);
  return answer.result;
}

describe("resultLine", () => {
  const large = { content: [{ type: "text", text: "é".repeat(70_000) }], extra: 1 };

  it.each([
    ["id first", JSON.stringify({ jsonrpc: "2.0", id: 1_000_000_007, result: large })],
    ["id last", JSON.stringify({ result: large, jsonrpc: "2.0", id: 1_000_000_007 })],
    ["another order", JSON.stringify({ id: 1_000_000_007, jsonrpc: "2.0", result: large })],
  ])("gives a large answer another id, whether it came with %s", (_, line) => {
    const result = kept(line);
    expect(JSON.parse(resultLine("mine", result))).toEqual({
      jsonrpc: "2.0",
      id: "mine",
      result: large,
    });
  });

  it("passes a result on as it came, until it is changed", () => {
    const spaced = '{ "content" : [ ],"n":1.0 }';
    const result = kept(`{"jsonrpc":"2.0","id":1000000007,"result":${spaced}}`);
    expect(resultLine(1, result)).toContain(spaced);
    expect(resultLine(1, { ...result, more: true })).toContain('{"content":[],"n":1,"more":true}');
    result["more"] = true;
    forgetText(result);
    expect(resultLine(1, result)).toContain('{"content":[],"n":1,"more":true}');
  });

  it("passes on no other member of an answer than its result", () => {
    const result = kept('{"jsonrpc":"2.0","id":1000000007,"result":{},"error":null}');
    expect(resultLine(1, result)).toBe('{"jsonrpc":"2.0","id":1,"result":{}}');
  });

  it("lets no id of the upstream win over ours", () => {
    const text = JSON.stringify(large);
    const line = `{"jsonrpc":"2.0","id":1000000007,"result":${text},"id":5}`;
    const result = kept(line);
    expect((JSON.parse(resultLine(9, result)) as { id: unknown }).id).toBe(9);
  });

  it.each(["\n", "\r"])("keeps no line break of the upstream's, here %j", (lineBreak) => {
    const forged = '{"jsonrpc":"2.0","id":1,"result":{}}';
    const own = `"x":[${lineBreak}${forged}${lineBreak}],"result":${JSON.stringify(large)}`;
    for (const text of [
      `{"jsonrpc":"2.0","id":1000000007,${own}}`,
      `{${own},"jsonrpc":"2.0","id":1000000007}`,
    ]) {
      const result = kept(text);
      expect(resultLine(9, result)).not.toContain(lineBreak);
    }
  });

  it("does not take an id at the end of a string for the message's own", () => {
    const result = { text: `${"x".repeat(70_000)},"jsonrpc":"2.0","id":5}` };
    const line = JSON.stringify({ id: 1, result });
    expect(JSON.parse(resultLine(2, kept(line)))).toEqual({ jsonrpc: "2.0", id: 2, result });
  });
});

describe("parseMessages", () => {
  it("takes an object, and a batch of them", () => {
    expect(parseMessages('{"a":1}')).toEqual([{ a: 1 }]);
    expect(parseMessages('[{"a":1},2,{"b":2}]')).toEqual([{ a: 1 }, { b: 2 }]);
  });

  it.each(["no json", "42", "null", '"text"', "{"])("takes nothing else, such as %s", (line) => {
    expect(parseMessages(line)).toBeUndefined();
  });
});
