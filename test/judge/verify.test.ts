import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RatingLine } from "../../src/run/ratings-file.ts";
import { alpagasus, misuse } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

let folder: TempFolder;
beforeEach(() => (folder = tempFolder()));
afterEach(() => folder[Symbol.dispose]());

async function verify(how: string, cases: readonly (readonly [answer: string, reference?: string | number])[]) {
  folder.write(
    "rows.json",
    cases.map(([output, reference]) => ({
      instruction: "Answer.",
      input: "",
      output,
      ...(reference !== undefined && { reference }),
    })),
  );
  const { code, stdout, stderr } = await alpagasus(
    ["rate", "rows.json", "--judge", `verify:${how}`, "--min-coverage", "0"],
    { cwd: folder.path },
  );
  expect(code, stderr).toBe(0);
  const lines = parseLines<RatingLine & { score?: number; detail?: string }>(
    readFileSync(`${folder.path}/runs/default/ratings.jsonl`, "utf8"),
  );
  return { found: lines.map(({ score, detail }) => score ?? detail), stdout };
}

test("exact: the same text, whatever its case, white space and form of the characters", async () => {
  const { found, stdout } = await verify("exact", [
    ["  paris\n", "Paris"],
    ["Cafe\u0301 ﬁn", "café fin"],
    ["Paris, France", "Paris"],
    ["10²", "102"],
    ["1½", "11/2"],
    ["", "Paris"],
    ["Paris"],
    ["Paris", " "],
    ["72", 72],
  ]);
  const lacks = "cannot be checked: the row has no reference";
  expect(found).toEqual([1, 1, 0, 0, 0, 0, lacks, lacks, 1]);
  expect(stdout).toContain("3 right, 4 wrong, 2 cannot be checked");
  expect(stdout).toContain("answers were compared with references");
});

test("regex: a part of the answer matches; a pattern of the data neither hangs nor ends the rating", async () => {
  const { found } = await verify("regex", [
    ["The capital is Paris.", String.raw`(?i)\bparis\b`],
    ["The capital is Rome.", "Paris"],
    [`${"a".repeat(50_000)}!`, "^(a+)+$"], // takes for ever by backtracking
    ["x", "(a"],
    ["x", String.raw`(?=x)`],
  ]);
  expect(found.slice(0, 3)).toEqual([1, 0, 0]);
  expect(found[3]).toMatch(/^cannot be checked: its reference is no pattern: .*missing \)/);
  expect(found[4]).toMatch(/^cannot be checked: its reference is no pattern/);
});

test("regex: rows of several blocks, which are under way at once, keep their own answers and references", async () => {
  const { found } = await verify(
    "regex",
    Array.from({ length: 1500 }, (_, i) => [
      `answer ${i} end`,
      i % 2 === 0 ? `answer ${i} end` : `answer ${i + 1} end`,
    ]),
  );
  expect(found).toEqual(Array.from({ length: 1500 }, (_, i) => (i % 2 === 0 ? 1 : 0)));
});

test("what does not go with it is one line", async () => {
  folder.write("rows.json", [{ instruction: "a", input: "", output: "b", reference: "b" }]);
  const tell = async (...args: string[]) => {
    const { code, stderr } = await misuse(["rate", "rows.json", ...args], { cwd: folder.path });
    expect(code).toBe(2);
    return stderr;
  };
  expect(await tell("--judge", "verify:maths")).toMatch(
    /expected student, .*verify:exact, verify:regex, verify:math,.*got "verify:maths"/,
  );
  expect(await tell("--judge", "verify:exact", "--scale", "0..5")).toMatch(/--scale: /);
  expect(await tell("--judge", "reward")).toMatch(/expected student, .*reward:MODEL/);
  expect(await tell("--judge", "reward:none")).toMatch(/--judge reward:MODEL: expected a folder with a model/);
  expect(await tell("--judge", "reward:none", "--template", "chat")).toMatch(
    /--template: a reward model has a chat template/,
  );
});
