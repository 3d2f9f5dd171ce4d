import { describe, expect, it } from "vitest";
import { Unread } from "../../src/front/unread.ts";
import { FakeResponse } from "../support/responses.ts";

const large = 100_000;

/** A client that has so many bytes unread. */
function client(bytes: number) {
  const response = new FakeResponse();
  response.writableLength = bytes;
  return { response, responses: new Set([response.response]) };
}

describe("what clients have not read", () => {
  it("may be so much for one of them, and then nothing large is sent to it until it reads", () => {
    const unread = new Unread(1_000_000);
    const { response, responses } = client(0);
    expect(unread.refuses(responses, 5_000_000)).toBe(false);
    response.writableLength = 1_000_000;
    expect(unread.refuses(responses, large)).toBe(false);
    response.writableLength = 1_000_001;
    expect(unread.refuses(responses, large)).toBe(true);
    expect(unread.isFull(responses)).toBe(true);
    expect(unread.refuses(responses, 1000)).toBe(false);
    response.writableLength = 0;
    expect(unread.isFull(responses)).toBe(false);
    expect(unread.refuses(responses, large)).toBe(false);
  });

  it("takes nothing from those who read, and no more than their share from each other", () => {
    const unread = new Unread(1_000_000);
    const [first, second] = [client(900_000), client(400_000)];
    for (const { responses } of [first, second]) unread.refuses(responses, large);
    expect([first, second].map(({ responses }) => unread.isFull(responses))).toEqual([true, false]);
    second.response.writableLength = 600_000;
    expect([first, second].map(({ responses }) => unread.isFull(responses))).toEqual([true, true]);
    first.response.writableLength = 0;
    expect([first, second].map(({ responses }) => unread.isFull(responses))).toEqual([
      false,
      false,
    ]);
  });

  it("is forgotten of those who have read it, though each of them comes but once", () => {
    const unread = new Unread(1_000_000);
    let looks = 0;
    const gone = {
      values: () => {
        looks++;
        return [];
      },
    };
    unread.refuses(gone, large);
    for (let n = 0; n < 10; n++) unread.refuses(client(0).responses, large);
    expect(looks).toBe(1);
  });
});
