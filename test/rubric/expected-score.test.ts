import { describe, expect, test } from "vitest";
import type { TokenLogprob } from "../../src/llm/reply.ts";
import { meanOfReplies } from "../../src/rubric/mean-of-replies.ts";
import { readExpectedScore } from "../../src/rubric/expected-score.ts";
import { createRandom } from "../../src/stats/random.ts";
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

  test.each([
    // scale, tokens, probabilities at the first token that matters, the mean
    [{ min: 0, max: 100, step: 1 }, ["1", "0", "0"], { "1": 0.5, "9": 0.5 }, 98, 1],
    [{ min: 0, max: 100, step: 1 }, ["9", "5"], { "9": 0.7, "1": 0.3 }, 0.7 * 95 + 0.3 * 100, 0.1],
    [{ min: 0, max: 100, step: 1 }, ["8", "5"], { "8": 0.8, "7": 0.2 }, 83, 1e-9],
    [{ min: 0, max: 100, step: 10 }, ["8", "0"], { "8": 0.85, "6": 0.15 }, 77, 1e-9],
    [{ min: 0, max: 100, step: 5 }, ["8", "5"], { "8": 0.9, "7": 0.1 }, 84, 1e-9],
    [{ min: 10, max: 100, step: 1 }, ["8", "5"], { "8": 0.9, "9": 0.1 }, 86, 1e-9],
    [{ min: 0, max: 10, step: 1 }, ["1", "0"], { "1": 0.6, "9": 0.4 }, 9.6, 1e-9],
    [{ min: -1, max: 1, step: 0.5 }, ["-", "0", ".", "5"], { "-": 0.6, "0": 0.4 }, -0.3, 1e-9],
    [{ min: 0, max: 100, step: 1 }, ["8", "5"], { "8": 0.7, "0": 0.3 }, 59.5, 1e-9],
    [{ min: 0, max: 20, step: 1 }, ["9"], { "9": 0.6, "1": 0.4 }, 10, 0.3],
    [{ min: 0, max: 1, step: 0.1 }, ["1", ".", "0"], { "1": 0.6, "0": 0.4 }, 0.96, 0.03],
    [{ min: -3, max: 3 }, ["1", ".5"], { "1": 0.6, "-1": 0.4 }, 0.5, 1e-9], // of another sign, nothing is known to follow
  ] as const)("of %o, written %o with %o, is %d", (scale, [first, ...rest], probabilities, mean, off) => {
    const tokens = [token(first, probabilities), ...rest.map((text) => token(text, { [text]: 1 })), plain("\nGood.")];
    const rating = read(tokens, { scale, reply: { format: "number" } });
    expect(rating).toMatchObject({ state: "scored", missing: expect.closeTo(0, 9) as number });
    expect(Math.abs((rating as { score: number }).score - mean)).toBeLessThanOrEqual(off);
  });

  test.each([
    [{ min: -100, max: 100, step: 1 }, ["-", "8", "0"], { "8": 0.6, "9": 0.4 }, -84],
    [{ min: -100, max: 100, step: 10 }, ["-", "8", "0"], { "8": 0.6, "9": 0.4 }, -84],
    [{ min: 0, max: 1000, step: 1 }, ["8", "5", "0"], { "5": 0.6, "9": 0.4 }, 866],
    [{ min: 100, max: 500, step: 10 }, ["2", "0", "0"], { "0": 0.6, "5": 0.4 }, 220],
    [{ min: 0, max: 4, step: 0.25 }, ["1", ".", "5"], { "5": 0.6, "2": 0.4 }, 1.4],
    [{ min: 0.5, max: 5.5, step: 1 }, ["3", ".", "5"], { "3": 0.6, "4": 0.4 }, 3.9],
  ] as const)("of %o, written %o with %o at one of its digits, is %d", (scale, written, probabilities, mean) => {
    const [first] = Object.entries(probabilities).toSorted(([, p], [, q]) => q - p)[0]!; // the one that was written
    let isTold = false;
    const tokens = written.map((text, i) => {
      const isHere = !isTold && text === first && (i > 0 || written[1] === ".");
      isTold ||= isHere;
      return token(text, isHere ? probabilities : { [text]: 1 });
    });
    const rating = read([...tokens, plain("\n")], { scale, reply: { format: "number" } });
    expect(rating).toMatchObject({ state: "scored", score: expect.closeTo(mean, 6) as number });
  });

  test("of negative scores is the mirror of that of positive ones", () => {
    const scale = { min: -3, max: 3 };
    const of = (sign: string, others: Record<string, number>) =>
      read([token(`${sign}1`, others), token(".5", { ".5": 1 })], { scale, reply: { format: "number" } });
    const [positive, negative] = [of("", { "1": 0.6, "2": 0.4 }), of("-", { "-1": 0.6, "-2": 0.4 })];
    expect([positive.state, negative.state]).toEqual(["scored", "scored"]);
    expect((negative as { score: number }).score).toBeCloseTo(-(positive as { score: number }).score, 9);
  });

  test("is of the outermost field, where one inside has its name and value", () => {
    const tokens = [
      plain('{"detail":{"overall":'),
      plain("4"),
      plain('},"overall":'),
      token("4", { "4": 0.5, "2": 0.5 }),
      plain("}"),
    ];
    expect(figures(read(tokens, json))).toEqual(digits(3, 0, 4));
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
    const { score, missing } = read(tokens, halves) as { score: number; missing: number };
    expect(missing).toBeCloseTo(0, 9);
    const three = (score - 0.8 * written) / 0.2; // goes on as 4 does, and a little more often to the half that is nearer to 4
    expect(three).toBeGreaterThan(3 + written - 4);
    expect(three).toBeLessThan(3.5);
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

  test("follows what the tokens allow: 4.5 where a point could have come, 1 where 10 is a token of its own", () => {
    expect(figures(read([token("4", { "4": 1 }), token("\n", { "\n": 0.9, ".": 0.1 })], halves))).toEqual(
      digits(4.05, 0, 4),
    );
    expect(figures(read([token("4", { "4": 1 }), token("\n", { "\n": 0.7, ".": 0.3 })], halves))).toEqual(
      digits(4.15, 0, 4),
    );
    expect(figures(read([token("9", { "9": 0.8, "10": 0.1, "1": 0.1 }), plain("\n")], toTen))).toEqual(
      digits(0.8 * 9 + 0.1 * 10 + 0.1 * 1, 0, 9),
    );
    expect(read([token("2", { "2": 0.7, "1": 0.3 }), plain("\n")], toTen)).toMatchObject({
      score: expect.closeTo(1.7, 2) as number, // beside 2, `1` is 1
    });
    expect(read([token("9", { "9": 0.7, "1": 0.3 }), plain("\n")], toTen)).toMatchObject({
      score: expect.closeTo(9.3, 2) as number, // beside 9, it is the beginning of 10
    });
    const hundred = { scale: { min: 0, max: 100, step: 1 }, reply: { format: "number" } } as const;
    expect(figures(read([token("8", { "8": 0.6, "7": 0.4 }), token("5", { "5": 1 }), plain("\n")], hundred))).toEqual(
      digits(0.6 * 85 + 0.4 * 75, 0, 85),
    ); // by the digit, another one goes on as the written one does

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

  test("of JSON by a schema is the mean over numbers, whatever else a server reports for that place", () => {
    const tokens = [plain('{"overall":'), token(" 3", { " 3": 0.2, " 2": 0.2, ' "': 0.4, " The": 0.2 }), plain("}")];
    expect(figures(read(tokens, json))).toEqual(digits(2.5, 0.6, 3));
  });

  test("is none where too much is on other tokens, where no probabilities came, or where nothing was scored", () => {
    expect(read([token("4", { "4": 0.7, I: 0.3 }), plain("\n")], whole)).toMatchObject({
      state: "unparsable",
      detail: "30 % of the probability is on tokens that are not a score; at most 20 % is allowed",
    });
    expect(readExpectedScore("4", "stop", undefined, whole)).toMatchObject({ state: "unparsable" });
    expect(readExpectedScore("4", "stop", [plain("Hello")], whole)).toMatchObject({
      state: "unparsable",
      detail: "the token probabilities do not match the reply",
    });
    expect(read([plain("I'm sorry, but I cannot.")], whole)).toMatchObject({ state: "refused" });
  });
});

/** A reply of a judge that draws its scores from known probabilities, as a tokenizer with a token for each number cuts it. */
function replyOf(chances: ReadonlyMap<string, number>, junk: number, written: string): TokenLogprob[] {
  const shareOf = (is: (score: string) => boolean) =>
    [...chances].filter(([score]) => is(score)).reduce((sum, [, share]) => sum + share, 0);
  const [number, fraction] = written.split(".") as [string, string?];
  const numbers = new Set([...chances.keys()].map((score) => score.split(".")[0]!));
  const first: Record<string, number> = { The: junk };
  for (const one of numbers) first[one] = (1 - junk) * shareOf((score) => score.split(".")[0] === one);
  const here = shareOf((score) => score.split(".")[0] === number);
  const goesOn = shareOf((score) => score.startsWith(`${number}.`)) / here;
  const next = { "\n": Math.max(1e-9, 1 - goesOn), ".": Math.max(1e-9, goesOn) };
  if (fraction === undefined) return [token(number, first), token("\n", next), plain("Because.")];
  const fractions: Record<string, number> = {};
  for (const [score, share] of chances)
    if (score.startsWith(`${number}.`)) fractions[score.split(".")[1]!] = share / (goesOn * here);
  return [token(number, first), token(".", next), token(fraction, fractions), plain("\n"), plain("Because.")];
}

test.each([
  ["0 to 5", { min: 0, max: 5, step: 1 }, 1, 0.01],
  ["1 to 10", { min: 1, max: 10, step: 1 }, 1, 0.01],
  ["0 to 10", { min: 0, max: 10, step: 1 }, 1, 0.01],
  ["0 to 100", { min: 0, max: 100, step: 1 }, 1, 0.01],
  ["the paper's, 0 to 5 without steps, in halves", { min: 0, max: 5 }, 0.5, 0.08],
] as const)(
  "on a scale from %s it is the mean that the judge drew from, for low rows as for high ones",
  (_, scale, step, most) => {
    const random = createRandom(3);
    const levels = Array.from({ length: (scale.max - scale.min) / step + 1 }, (__, i) => String(scale.min + i * step));
    for (const junk of [0, 0.1]) {
      const off = { all: 0, low: 0, high: 0, rows: 0 };
      for (let i = 0; i < 600; i++) {
        const centre = random() * (levels.length - 1);
        const width = 0.3 + 1.5 * random();
        const weights = levels.map((__, at) => Math.exp(-((at - centre) ** 2) / (2 * width ** 2)));
        const total = weights.reduce((sum, weight) => sum + (weight > 1e-4 ? weight : 0), 0);
        const chances = new Map(
          levels.flatMap((level, at) => (weights[at]! > 1e-4 ? [[level, weights[at]! / total]] : [])),
        );
        let left = random();
        const written = [...chances].find(([, share]) => (left -= share) < 0)?.[0] ?? [...chances.keys()].at(-1)!;
        const truth = [...chances].reduce((sum, [level, share]) => sum + Number(level) * share, 0);
        const rating = read(replyOf(chances, junk, written), { scale, reply: { format: "number" } });
        expect(rating.state).toBe("scored"); // none is thrown away
        const error = (rating as { score: number }).score - truth;
        off.all += Math.abs(error);
        off[centre < levels.length / 2 ? "low" : "high"] += error;
        off.rows++;
      }
      expect(off.all / off.rows).toBeLessThan(most);
      expect(Math.abs(off.low) / off.rows).toBeLessThan(0.02);
      expect(Math.abs(off.high) / off.rows).toBeLessThan(0.02);
    }
  },
);

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
