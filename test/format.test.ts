import { describe, expect, test } from "vitest";
import { formatApart, formatShare } from "../src/format.ts";

describe("figures as they are read", () => {
  test.each([
    [0, "0.0 %"],
    [0.0004, "<0.1 %"],
    [0.9994, "99.9 %"],
    [0.9998, ">99.9 %"],
    [1, "100.0 %"],
  ])("the share %d is %s", (share, text) => {
    expect(formatShare(share)).toBe(text);
  });

  test.each([
    [0.5, 0.4, ["50.0 %", "40.0 %"]],
    [0.38812, 0.38788, ["38.81 %", "38.79 %"]],
    [1, 0.9996, ["100.0 %", ">99.9 %"]],
    [2.00012, 2.0001, ["2.00012", "2.00010"]],
    [0.5, 0.5, ["50.0 %", "50.0 %"]],
  ])("%d and %d are told apart", (one, other, texts) => {
    expect(formatApart(one, other)).toEqual(texts);
  });
});
