import { describe, expect, test } from "vitest";
import type { TokenLogprob } from "../../src/llm/reply.ts";
import { meanOfReplies, readExpectedScore } from "../../src/rubric/expected-score.ts";
import { locateScore, type ReadingRubric } from "../../src/rubric/read-score.ts";
import type { Rating } from "../../src/run/rating.ts";

const whole = { scale: { min: 0, max: 5, step: 1 }, reply: { format: "number" } } as const;
const halves = { scale: { min: 0, max: 5 }, reply: { format: "number" } } as const;
const toTen = { scale: { min: 1, max: 10, step: 1 }, reply: { format: "number" } } as const;
const json = { scale: { min: 0, max: 5, step: 1 }, reply: { format: "json", score: "overall" } } as const;

/** A token that was written, and the others with their probabilities. */
function token(text: string, others: Record<string, number>): TokenLogprob {
  return {
    token: text,
    logprob: Math.log(others[text] ?? 1),
    top: Object.entries(others).map(([other, probability]) => [other, Math.log(probability)] as const),
  };
}

const plain = (text: string): TokenLogprob => ({ token: text, logprob: 0 });

function read(tokens: readonly TokenLogprob[], rubric: ReadingRubric) {
  return readExpectedScore(tokens.map((one) => one.token).join(""), "stop", tokens, rubric);
}

/** A rating's score, missing probability and written score, to 9 digits. */
function figures(rating: Rating): readonly string[] {
  if (rating.state !== "scored") return [rating.state];
  return digits(rating.score, rating.missing!, rating.written!);
}

const digits = (...values: number[]) => values.map((value) => value.toFixed(9));

describe("the expected score", () => {
  test("is the mean of the scores by the probabilities of their tokens", () => {
    const tokens = [token("4", { "4": 0.55, "5": 0.3, "3": 0.1, "0": 0.05 }), plain("\nGood.")];
    expect(figures(read(tokens, whole))).toEqual(digits(0.55 * 4 + 0.3 * 5 + 0.1 * 3 + 0.05 * 0, 0, 4));
  });

  test("is the mean over what is known, and says how much is not", () => {
    const tokens = [token("4", { "4": 0.6, "5": 0.25, The: 0.1, "7": 0.05 }), plain("\nGood.")];
    expect(figures(read(tokens, whole))).toEqual(digits((0.6 * 4 + 0.25 * 5) / 0.85, 0.15, 4));
  });

  test("counts the same score once however its token is written", () => {
    const tokens = [
      plain("Score:"),
      token(" 4", { " 4": 0.5, "4": 0.1, " 3": 0.2, "\n3": 0.1, " **5": 0.1 }),
      plain("."),
    ];
    expect(figures(read(tokens, whole))).toEqual(digits(0.6 * 4 + 0.3 * 3 + 0.1 * 5, 0, 4));
  });

  test("takes a score of several tokens as the way that it was written, with what branches off", () => {
    const tokens = [
      token("4", { "4": 0.8, "3": 0.2 }),
      token(".", { ".": 0.75, "\n": 0.25 }),
      token("5", { "5": 0.9, "0": 0.1 }),
      token("\n", { "\n": 1 }),
    ];
    const written = 0.25 * 4 + 0.75 * 0.9 * 4.5 + 0.75 * 0.1 * 4;
    expect(figures(read(tokens, halves))).toEqual(digits(0.8 * written + 0.2 * (3 + written - 4), 0, 4.5)); // 3 goes on as 4 does
  });

  test("counts what the next token would have made of it: 1 that may have become 10", () => {
    const tokens = [token("1", { "1": 1 }), token("\n", { "\n": 0.7, "0": 0.3 })];
    expect(figures(read(tokens, toTen))).toEqual(digits(0.7 * 1 + 0.3 * 10, 0, 1));
  });

  test("reads scores under zero", () => {
    const below = { scale: { min: -10, max: 0, step: 1 }, reply: { format: "number" } } as const;
    const tokens = [token("-1", { "-1": 0.5, "-2": 0.5 }), plain("\n")];
    expect(figures(read(tokens, below))).toEqual(digits(-1.5, 0, -1));
  });

  test("takes what could have gone on for missing: 4 where 4.5 is possible, 1 where 10 is", () => {
    expect(figures(read([token("4", { "4": 1 }), token("\n", { "\n": 0.9, ".": 0.1 })], halves))).toEqual(
      digits(4, 0.1, 4),
    );
    expect(figures(read([token("9", { "9": 0.8, "10": 0.1, "1": 0.1 }), plain("\n")], toTen))).toEqual(
      digits((0.8 * 9 + 0.1 * 10) / 0.9, 0.1, 9),
    );
    expect(figures(read([token("1", { "1": 0.9, "2": 0.1 }), token("0", { "0": 0.7, "\n": 0.3 })], toTen))).toEqual(
      digits(0.9 * 0.7 * 10 + 0.9 * 0.3 * 1 + 0.1 * 2, 0, 10),
    );
  });

  test("reads the field of an object", () => {
    const tokens = [
      plain('{"reason": "4 of 5 are right", "overall":'),
      token(" 3", { " 3": 0.5, " 2": 0.5 }),
      plain("}"),
    ];
    expect(figures(read(tokens, json))).toEqual(digits(2.5, 0, 3));
  });

  test("is none where too much is on other tokens, where no probabilities came, or where nothing was scored", () => {
    expect(read([token("4", { "4": 0.7, I: 0.3 }), plain("\n")], whole)).toMatchObject({
      state: "unparsable",
      detail: "30 % of the probability is on tokens that are no score; at most 20 % may be",
    });
    expect(readExpectedScore("4", "stop", undefined, whole)).toMatchObject({ state: "unparsable" });
    expect(readExpectedScore("4", "stop", [plain("Hello")], whole)).toMatchObject({
      state: "unparsable",
      detail: "the token probabilities are not those of the reply",
    });
    expect(read([plain("I'm sorry, but I cannot.")], whole)).toMatchObject({ state: "refused" });
  });
});

test.each([
  ["4", 4, "4"],
  ["Score: 4.5/5", 4.5, "4.5"],
  ["On a scale of 1 to 5: 5\nbecause", 5, "5"],
  ["<think>3 or 4?</think>\n\n4", 4, "4"],
  ["**Rating:** ４", 4, "４"],
])("the score of %j is found where it stands", (text, score, found) => {
  const [start, end] = locateScore(text, score, whole) ?? [0, 0];
  expect(text.slice(start, end)).toBe(found);
  expect(start).toBe(text.lastIndexOf(found));
});

describe("the mean of several replies", () => {
  const scored = (score: number): Rating => ({ state: "scored", score });
  const unread: Rating = { state: "unparsable", detail: "no number" };

  test("is over those with a score, if most have one", () => {
    expect(meanOfReplies([scored(4), unread, scored(5)])).toEqual({
      state: "scored",
      score: 4.5,
      written: 4,
      replies: [4, null, 5],
    });
  });

  test("is none otherwise, and none while a reply is to come", () => {
    expect(meanOfReplies([scored(4), unread])).toMatchObject({
      state: "unparsable",
      detail: "1 of 2 replies have a score; no number",
    });
    expect(meanOfReplies([scored(4), scored(4), { state: "pending" }])).toEqual({ state: "pending" });
  });
});
