import { describe, expect, test } from "vitest";
import { readScore } from "../../src/rubric/read-score.ts";

const rubric = { scale: { min: 0, max: 5, step: 0.5 }, reply: { format: "number" as const } };
const ten = { scale: { min: 0, max: 10 }, reply: { format: "number" as const } };

describe("scores in forms that nobody asked for", () => {
  test.each([
    ["[[8]]\nBecause.", 8, ten],
    ["Rating: [[8]]", 8, ten],
    ["4.5分", 4.5, rubric],
    ['{"score": 4}', 4, rubric],
    ['```json\n{"rating": 3.5}\n```', 3.5, rubric],
    ["Rating: 3.5 (0 to 5)\nFine.", 3.5, rubric],
    ["score - 4.5", 4.5, rubric],
  ])("%j", (text, score, its) => {
    expect(readScore(text, "stop", its)).toEqual({ state: "scored", score });
  });

  test.each([
    ["Rating: 3 (0 to 10)", rubric], // of another scale
    ['{"confidence": 4}', rubric],
    ["[[8]] or [[7]]", ten],
    ["score - minus 2", rubric],
  ])("not %j", (text, its) => {
    expect(readScore(text, "stop", its)).toMatchObject({ state: "unparsable" });
  });
});
