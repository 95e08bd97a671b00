import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
import { openJudge } from "../../src/judge/open.ts";
import type { PairLine, RowDetail, RowQuery } from "../../src/page/contract.ts";
import { openRun, type OpenRun } from "../../src/page/open-run.ts";
import { readSearch, searchTextOfRow } from "../../src/page/search-terms.ts";
import { selectPairs } from "../../src/page/select-pairs.ts";
import { selectRows } from "../../src/page/select-rows.ts";
import { ThresholdTally } from "../../src/page/threshold-table.ts";
import { rate } from "../../src/stages/rate.ts";
import { select } from "../../src/stages/select.ts";
import { edgeOf, edgeOfShare, keptAt, lastEdge } from "../../web/src/what-if.ts";
import { example } from "../helpers/examples.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

const words = ["Poem", "ÉTÉ", "zebra", "50 %", "a_b", "'quote'", '"double"', "<script>", "\u202e", "naïve", "x\0y"];

describe("a query finds the same rows in the viewer's database and in a report's sample", () => {
  let folder: TempFolder;
  let run: OpenRun;
  let all: readonly RowDetail[];

  beforeAll(async () => {
    folder = tempFolder();
    const rows = Array.from({ length: 300 }, (_, i) => ({
      instruction: `${words[i % words.length]} ${i}`,
      input: i % 4 ? "" : words[(i * 7) % words.length],
      output: `${words[(i * 3) % words.length]} `.repeat(1 + (i % 17)),
      category: ["open_qa", "creative'", "x"][i % 3],
      score: i % 11 === 0 ? null : (i % 10) / 2,
      other: (i * 13) % 7,
      third: (i * 5) % 11,
    }));
    folder.write("rows.json", rows);
    const data = await openDataset(`${folder.path}/rows.json`);
    await rate(data, { run: `${folder.path}/run`, judge: await openJudge("column:score") });
    await select({ run: `${folder.path}/run`, top: 60 });
    await select({ run: `${folder.path}/run`, method: "random" });
    run = await openRun(`${folder.path}/run`, { against: ["column:other", "column:third"] });
    await run.whenRead();
    all = await run.wholeRows({ limit: 500 });
  });
  afterAll(async () => {
    await run[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  const carried = () =>
    all.map((detail) => ({
      detail,
      search: searchTextOfRow({
        instruction: detail.instructionText.text,
        input: detail.inputText.text,
        output: detail.outputText.text,
        id: detail.id,
      }),
    }));

  const queries: fc.Arbitrary<RowQuery> = fc.record(
    {
      search: fc.oneof(
        fc.constantFrom(
          ...words.map((word) => word.replace("\0", "")),
          "zebra 5",
          '"zebra 5"',
          "#17",
          "#9999",
          "%",
          "_",
          "nothing",
        ),
        fc.string({ maxLength: 5 }),
      ),
      state: fc.constantFrom("scored", "unscored", "unparsable", "failed"),
      atLeast: fc.constantFrom(0, 1, 2.5, 4.5, 9),
      below: fc.constantFrom(0, 1, 2.5, 4.5, 9),
      category: fc.constantFrom("open_qa", "creative'", "none"),
      shortest: fc.integer({ min: 0, max: 100 }),
      longest: fc.integer({ min: 0, max: 100 }),
      arm: fc.constantFrom("selected", "random"),
      isKept: fc.boolean(),
      reason: fc.constantFrom("kept", "below cut", "not drawn", "contaminated"),
      sort: fc.constantFrom("index", "score", "length", "disagreement"),
      reference: fc.constantFrom(0, 1),
      isDescending: fc.boolean(),
      offset: fc.integer({ min: 0, max: 20 }),
      limit: fc.integer({ min: 1, max: 100 }),
    },
    { requiredKeys: [] },
  );

  test("for any query", async () => {
    expect(all).toHaveLength(300);
    await fc.assert(
      fc.asyncProperty(queries, async (query) => {
        const found = await run.rows(query);
        const sampled = selectRows(carried(), query);
        expect(found.rows.map(({ index }) => index)).toEqual(sampled.rows.map(({ index }) => index));
        expect(found.total).toBe(sampled.total);
      }),
      { numRuns: 300 },
    );
  });

  test("for a few that are known by hand", async () => {
    const indexes = async (query: RowQuery) => (await run.rows(query)).rows.map(({ index }) => index);
    expect(await indexes({ search: "#17" })).toEqual([17]);
    expect(await indexes({ search: "été", limit: 2 })).toEqual([1, 4]);
    expect(await indexes({ state: "unscored", limit: 3 })).toEqual([0, 11, 22]);
    expect((await run.rows({ arm: "selected" })).total).toBe(60);
    expect((await run.rows({ arm: "selected", isKept: false })).total).toBe(240);
    expect((await run.rows({ arm: "random", reason: "not drawn" })).total).toBeGreaterThan(100);
    expect((await run.rows({ arm: "random", reason: "contaminated" })).total).toBe(0);
    const [apart] = (await run.rows({ sort: "disagreement", isDescending: true, limit: 1 })).rows;
    expect(apart!.disagreements[0]).toBeGreaterThan(0.7);
    await expect(run.rows({ arm: "none" })).rejects.toThrow("expected an arm of these ratings (selected, random)");
  });

  test("text that would be SQL is text", async () => {
    for (const search of ["' OR 1=1 --", "'; DROP TABLE rows; --", "$1", "\\"]) {
      expect((await run.rows({ search })).total).toBe(0);
      expect((await run.rows({ category: search })).total).toBe(0);
    }
    expect((await run.rows({})).total).toBe(300);
  });
});

test.skipIf(!existsSync("/proc/self/fd"))("a run that is closed leaves no file open and no folder behind", async () => {
  using folder = tempFolder();
  folder.write(
    "rows.json",
    Array.from({ length: 50 }, (_, i) => ({ instruction: `i ${i}`, input: "", output: `o ${i}` })),
  );
  const path = `${folder.path}/run`;
  await rate(await openDataset(`${folder.path}/rows.json`), { run: path, judge: await openJudge("student") });
  await select({ run: path, top: 5 });
  const look = async (): Promise<number> => {
    const opened = await openRun(path, { isFollowing: true });
    const asking = [opened.whenRead().then(() => opened.rows({ search: "i 7" })), opened.report(), opened.rows({})];
    await asking[0];
    await opened[Symbol.asyncDispose]();
    await Promise.all(asking);
    return readdirSync("/proc/self/fd").length;
  };
  const first = await look();
  for (let i = 0; i < 4; i++) await look();
  expect(await look()).toBeLessThanOrEqual(first);
  const left = readdirSync(tmpdir()).filter((name) => name.startsWith(`alpagasus-view-${process.pid}-`));
  expect(left.length).toBeLessThanOrEqual(1); // of the suite above, if it runs meanwhile
});

test("a search is words, phrases in quotes, or a row's number", () => {
  expect(readSearch(' Two  "a Phrase here" x')).toEqual({ terms: ["two", "a phrase here", "x"] });
  expect(readSearch(" #12 ")).toEqual({ row: 12 });
  expect(readSearch('"open')).toEqual({ terms: ["open"] });
  expect(readSearch("")).toEqual({ terms: [] });
  expect(readSearch('""')).toEqual({ terms: [] });
});

test("what a threshold keeps adds up, for any scores", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          score: fc.option(fc.double({ min: -3, max: 12, noNaN: true }), { nil: undefined }),
          length: fc.nat(99),
          category: fc.constantFrom("a", "b", undefined),
        }),
        { minLength: 1 },
      ),
      fc.array(
        fc.integer({ min: -3000, max: 12_000 }).map((thousandths) => thousandths / 1000),
        { maxLength: 2 },
      ),
      (rows, cuts) => {
        const tally = new ThresholdTally([{ from: -3, to: 12, count: rows.length }], cuts);
        for (const [i, { score, length, category }] of rows.entries())
          tally.add(example(i, { instruction: "", output: "x".repeat(length), category }), score);
        const table = tally.describe();
        for (const edge of [table.edges[0]!, ...cuts, 4.5]) {
          const kept = keptAt(table, edgeOf(table, edge));
          const wanted = rows.filter(({ score }) => score !== undefined && score >= kept.threshold);
          expect(kept.rows).toBe(wanted.length);
          expect(kept.meanOutputLength ?? 0).toBeCloseTo(
            wanted.length ? wanted.reduce((sum, { length }) => sum + length, 0) / wanted.length : 0,
            9,
          );
          for (const { category, rows: inCategory } of kept.categories)
            expect(inCategory).toBe(wanted.filter((row) => row.category === category).length);
        }
        for (const cut of cuts) expect(keptAt(table, edgeOf(table, cut)).threshold).toBe(cut);
        expect(keptAt(table, edgeOfShare(table, 1)).rows).toBe(rows.filter(({ score }) => score !== undefined).length);
        expect(lastEdge(table)).toBeGreaterThanOrEqual(0);
      },
    ),
  );
});

describe("pairs", () => {
  const pair = (
    id: string,
    said: PairLine["orders"][number]["said"][],
    lengths: readonly [number, number] = [1, 1],
  ) => ({
    line: {
      comparison: "c",
      set: "s",
      id,
      outcome: "tie" as const,
      orders: said.map((word) => ({ said: word })),
      lengths,
      instruction: "",
    },
    search: `text of ${id}`,
  });
  const pairs = [
    pair("same", []),
    pair("agreed", ["A", "A"], [5, 1]),
    pair("half", ["A", "draw"]),
    pair("flipped", ["A", "B"], [1, 9]),
    pair("unread", ["A", "unparsable"]),
  ];
  const idsOf = (query: Parameters<typeof selectPairs>[1]) => selectPairs(pairs, query).pairs.map(({ id }) => id);

  test("what is doubtful comes first", () => {
    expect(idsOf({})).toEqual(["unread", "flipped", "half", "same", "agreed"]);
    expect(idsOf({ sort: "set" })).toEqual(["same", "agreed", "half", "flipped", "unread"]);
    expect(idsOf({ sort: "length" })[0]).toBe("flipped");
  });

  test("can be filtered by how their orders came out", () => {
    expect(idsOf({ orders: "flipped" })).toEqual(["flipped"]);
    expect(idsOf({ orders: "differ" })).toEqual(["unread", "flipped", "half"]);
    expect(idsOf({ orders: "unread" })).toEqual(["unread"]);
    expect(idsOf({ search: "of half" })).toEqual(["half"]);
    expect(selectPairs(pairs, { offset: 1, limit: 2 })).toMatchObject({
      total: 5,
      pairs: [{ id: "flipped" }, { id: "half" }],
    });
  });
});
