import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { csvCell, svgText } from "../../web/src/parts/foreign-text.ts";

describe("a cell of a saved table", () => {
  test.each([
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    " =1+1",
    "\t=1",
    "\u00a0=1",
    "\ufeff=cmd|' /C calc'!A0",
    "\u200b=1",
    "\uff1d1+1",
    '"=1"',
    "'=1",
    "\n=1",
    "|calc",
  ])("is no formula: %j", (text) => {
    expect(csvCell(text).replace(/^"/, "")).toMatch(/^'/);
  });

  test("is otherwise as it is", () => {
    expect(["a-b", "1 = 1", "", "x,y", 'say "no"', "نص"].map(csvCell)).toEqual([
      "a-b",
      "1 = 1",
      "",
      '"x,y"',
      '"say ""no"""',
      "نص",
    ]);
    expect([-1, null, undefined].map(csvCell)).toEqual(["-1", "", ""]);
  });
});

describe("a text of a saved figure", () => {
  test("has only characters that XML allows", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        // oxlint-disable-next-line no-control-regex -- control characters are what it is about
        expect(svgText(text)).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/);
        expect(svgText(text).isWellFormed()).toBe(true);
      }),
    );
  });

  test("does not turn its neighbours round", () => {
    expect(svgText("\u202eabc")).toBe("abc");
    expect(svgText("שלום")).toBe("\u2068שלום\u2069");
    expect(svgText("plain")).toBe("plain");
  });
});
