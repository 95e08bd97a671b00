import { describe, expect, it } from "vitest";
import type { Judge } from "../../src/judge/judge.ts";
import { createColumnJudge, createRecordedJudge, type RecordedOptions } from "../../src/judge/recorded.ts";
import type { Rating } from "../../src/run/rating.ts";
import { example } from "../helpers/examples.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

async function rateRows(judge: Judge, rows: readonly { id?: string; row?: object }[]): Promise<Rating[]> {
  const ratings: Rating[] = [];
  const examples = rows.map(({ id, row = {} }, i) =>
    example(i, { output: "x", id, row: row as Record<string, unknown> }),
  );
  async function* batches() {
    yield examples.slice(0, 1);
    yield examples.slice(1);
  }
  for await (const batch of judge.rate(batches())) ratings.push(...batch);
  return ratings;
}

async function rateRecorded(
  name: string,
  content: string | object,
  rows: readonly { id?: string }[],
  options?: RecordedOptions,
): Promise<string[]> {
  using folder = tempFolder();
  const [file, column] = name.split("#");
  const path = folder.write(file!, content);
  const ratings = await rateRows(
    await createRecordedJudge(column === undefined ? path : `${path}#${column}`, options),
    rows,
  );
  return ratings.map((rating) => (rating.state === "scored" ? String(rating.score) : rating.state));
}

const three = [{ id: "a" }, { id: "b" }, { id: "c" }];

describe("recorded scores", () => {
  it.each<[string, string, string | object, string[]]>([
    ["a JSON array of numbers, where 0 is a score and null is none", "s.json", [0, null, 4.5], ["0", "pending", "4.5"]],
    ["one number a line", "s.jsonl", "3\n4\n5\n", ["3", "4", "5"]],
    [
      "rows with a score, in order",
      "s.jsonl",
      '{"score":1}\n{"score":"2.5"}\n{"score":null}\n',
      ["1", "2.5", "pending"],
    ],
    [
      "rows keyed by index, in any order, some absent",
      "s.jsonl",
      '{"index":2,"score":1}\n{"index":0,"score":2}\n',
      ["2", "pending", "1"],
    ],
    [
      "rows keyed by id",
      "s.json",
      [
        { id: "c", score: 1 },
        { id: "a", score: 2 },
      ],
      ["2", "pending", "1"],
    ],
    ["a CSV", "s.csv", "index,score\n0,1\n1,\n2,3\n", ["1", "pending", "3"]],
    [
      "a nested column by its path",
      "s.jsonl#scores.quality",
      '{"scores":{"quality":1}}\n{"scores":{"quality":2}}\n{"scores":{}}\n',
      ["1", "2", "pending"],
    ],
    ["text that is no number", "s.json", [1, "N/A", "five"], ["1", "unparsable", "unparsable"]],
    ["-1 for what the field's scripts could not read", "s.json", [4, -1, 3], ["4", "unparsable", "3"]],
    ["-1 among other negative scores", "s.json", [4, -1, -3], ["4", "-1", "-3"]],
    [
      "our own ratings with their states",
      "r.jsonl",
      '{"index":0,"state":"refused"}\n{"index":1,"state":"scored","score":2}\n{"index":2,"state":"pending"}\n',
      ["refused", "2", "pending"],
    ],
  ])("reads %s", async (_title, name, content, expected) => {
    expect(await rateRecorded(name, content, three)).toEqual(expected);
  });

  it("takes scores outside a given scale for unparsable, never for the nearest score", async () => {
    expect(await rateRecorded("s.json", [45, -1, 5], three, { scale: { min: 0, max: 5 } })).toEqual([
      "unparsable",
      "unparsable",
      "5",
    ]);
  });

  it.each<[string, string, string | object, RegExp]>([
    ["too few", "s.json", [1, 2], /expected one score for each row of the data, got 2 scores/],
    ["too many", "s.json", [1, 2, 3, 4], /expected one score for each of the 3 rows of the data, got 4/],
    ["an index outside the data", "s.json", [{ index: 7, score: 1 }], /got 1 that belong to no row of it/],
    ["an unknown id", "s.json", [{ id: "z", score: 1 }], /got 1 that belong to no row of it/],
    [
      "an index twice",
      "s.jsonl",
      '{"index":0,"score":1}\n{"index":0,"score":2}\n',
      /s.jsonl:2: expected each index once, got 0 again/,
    ],
    [
      "an id twice",
      "s.jsonl",
      '{"id":"a","score":1}\n{"id":"a","score":2}\n',
      /s.jsonl:2: expected each id once, got "a" again/,
    ],
    [
      "mixed keys",
      "s.jsonl",
      '{"index":0,"score":1}\n{"score":2}\n',
      /s.jsonl:2: expected a score by index like those before, got one in order/,
    ],
    [
      "no score",
      "s.jsonl",
      '{"quality":1}\n',
      /s.jsonl:1: expected a column "score", got quality; name it with #COLUMN/,
    ],
    [
      "a row whose score is in another column",
      "s.jsonl",
      '{"id":"a","score":1,"rating":5}\n{"id":"b","rating":5}\n',
      /s.jsonl:2: expected a column "score", got id, rating; name it with #COLUMN/,
    ],
    [
      "a second column of scores",
      "s.jsonl",
      '{"id":"a","rating":5}\n{"id":"b","score":1,"rating":5}\n',
      /s.jsonl:2: expected scores in "rating" as in the rows before, got "score" too/,
    ],
    [
      "a column that is not there",
      "s.jsonl#rating",
      '{"quality":1}\n',
      /s.jsonl:1: expected a column "rating", got quality/,
    ],
    [
      "a score that is a list",
      "s.json",
      [1, [2], 3],
      /s.json:1 \(row 2\): expected a score or an object with one, got array/,
    ],
    ["nothing", "s.json", [], /expected scores, got none/],
  ])("stops at %s", async (_title, name, content, message) => {
    await expect(rateRecorded(name, content, three)).rejects.toThrow(message);
  });
});

describe("joins that do not match", () => {
  it("stop at an id that stands twice in the data", async () => {
    await expect(
      rateRecorded("s.jsonl", '{"id":"a","score":1}\n{"id":"b","score":5}\n', [{ id: "a" }, { id: "a" }]),
    ).rejects.toThrow(/expected each id once.*got "a" again/);
  });

  it("stop at a row that our own ratings were not made for", async () => {
    await expect(
      rateRecorded("r.jsonl", '{"index":0,"hash":"0000000000000000","state":"scored","score":2}\n', [{ id: "a" }]),
    ).rejects.toThrow(/expected the row that .*r.jsonl has a score for, got another/);
  });
});

describe("a column of the data", () => {
  it("gives its scores, nested ones too", async () => {
    const rows = [
      { row: { s: { q: 0 } } },
      { row: { s: { q: "4.5" } } },
      { row: { s: {} } },
      { row: { s: { q: "bad" } } },
    ];
    const ratings = await rateRows(createColumnJudge("s.q"), rows);
    expect(ratings.map((rating) => (rating.state === "scored" ? rating.score : rating.state))).toEqual([
      0,
      4.5,
      "pending",
      "unparsable",
    ]);
  });

  it("must be there", async () => {
    await expect(rateRows(createColumnJudge("score"), [{ row: { q: 1 } }])).rejects.toThrow(
      /expected a column of the data, got none of that name among q/,
    );
  });
});
