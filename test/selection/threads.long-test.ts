import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
import { createColumnJudge } from "../../src/judge/recorded.ts";
import { readManifest, runFolder } from "../../src/run/run-folder.ts";
import type { ArmSummary } from "../../src/run/records/arm.ts";
import { rate } from "../../src/stages/rate.ts";
import { select } from "../../src/stages/select.ts";
import type { SelectOptions } from "../../src/stages/select/plan.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* Arms of large JSON Lines files are written by threads. With --watch one thread writes them, so that both ways can be compared. */

const count = 30_000;
const filler = "The same words again, ünïcodé and 𝛼 among them, to make the file large. ".repeat(34);

/** Rows as people hold them: blank lines, Windows line ends, rows that cannot be read, ids, categories, half pairs of UTF-16. */
function lineOf(i: number): string {
  if (i % 9_001 === 0) return `{"instruction": "question ${i}", "output": 7}`;
  const row = {
    id: `row-${i}`,
    instruction: `question ${i}`,
    category: `c${i % 7}`,
    output: `${filler}${i % 999}`,
    score: scoreOf(i),
  };
  const line = JSON.stringify(row);
  return `${i % 1_000 === 1 ? "\n" : ""}${i % 500 === 2 ? line.replace("question", String.raw`\ud83d question`) : line}${i % 700 === 3 ? "\r" : ""}`;
}

function scoreOf(i: number): number | null {
  return i % 50 === 0 ? null : ((i * 2_654_435_761) % 2 ** 32) / 2 ** 32 > 0.5 ? i % 6 : (i % 10_000) / 2_000;
}

let folder: TempFolder;
let path: string;
let run: string;

beforeAll(async () => {
  folder = tempFolder();
  path = folder.write("data.jsonl", Array.from({ length: count }, (_, i) => lineOf(i)).join("\n"));
  run = `${folder.path}/run`;
  await rate(await openDataset(path, { unreadable: "keep" }), {
    run,
    judge: createColumnJudge("score"),
    maxUnreadable: 1,
  });
});
afterAll(() => folder[Symbol.dispose]());

async function selectInto(arm: string, options: Partial<SelectOptions>): Promise<ArmSummary> {
  const summary = await select({ run, arm, seed: 3, ...options });
  return { ...summary, arm: "", path: "", decisionsPath: "", watched: undefined, startedAt: "", wallMs: 0 };
}

const filesOf = (arm: string) =>
  ["jsonl", "decisions.jsonl"].map((end) => readFileSync(`${run}/arms/${arm}.${end}`, "utf8"));

describe.skipIf(availableParallelism() < 2)("an arm that threads write is the one that one thread writes", () => {
  test.each<[string, Partial<SelectOptions>]>([
    ["by a threshold", { minScore: 3 }],
    ["the best", { top: 8_000 }],
    ["at random", { method: "random", top: 1_000 }],
    ["all", { method: "full" }],
    ["some listed rows", { rows: [5, 17_000, 29_999] }],
    ["the best of each group", { top: 5_000, per: "category" }],
    ["filtered, without repeats", { where: "output_length > 10 and category <> 'c3'", dedup: "exact" }],
  ])("%s", async (_, options) => {
    let threads = 0;
    const onWorker = () => void threads++;
    process.on("worker", onWorker);
    const many = await selectInto("many", options);
    expect(threads).toBeGreaterThan(1);
    const started = threads;
    const one = await selectInto("one", { ...options, watch: "nothing has this word" });
    expect(threads).toBe(started);
    process.off("worker", onWorker);
    expect({ ...many, alarms: [] }).toEqual({ ...one, alarms: [] });
    expect(filesOf("many")).toEqual(filesOf("one"));
  });

  test("what is wrong is told as one thread tells it, and no file is touched", async () => {
    const before = filesOf("many");
    const text = readFileSync(path, "utf8");
    const told = async (options: Partial<SelectOptions> = { minScore: 3 }) => {
      const messages: string[] = [];
      for (const watch of [undefined, "nothing has this word"])
        await selectInto("many", { ...options, watch }).catch((error: Error) => messages.push(error.message));
      return messages;
    };
    const place = text.indexOf("question 20000");
    writeFileSync(path, `${text.slice(0, place)}Question${text.slice(place + "Question".length)}`);
    expect(await told()).toEqual(
      Array(2).fill(expect.stringMatching(/data\.jsonl:\d+: expected the row that was rated, got another/)),
    );
    writeFileSync(path, `${text}\n${lineOf(1)}`);
    expect(await told()).toEqual(Array(2).fill(expect.stringMatching(/expected only the 30,000 rows/)));
    writeFileSync(path, text);
    expect(await told({ rows: [1, 30_000] })).toEqual(
      Array(2).fill(expect.stringMatching(/--rows: expected positions from 0 to 29999/)),
    );
    const ratings = `${run}/ratings.jsonl`;
    const rated = readFileSync(ratings);
    truncateSync(ratings, rated.length - 10);
    expect(await told()).toEqual(Array(2).fill(expect.stringMatching(/ends in the middle of a line/)));
    writeFileSync(ratings, rated.toString().replace('"score":3}', '"score":4}'));
    expect(await told()).toEqual(Array(2).fill(expect.stringMatching(/got a changed file/)));
    writeFileSync(ratings, rated);
    expect(filesOf("many")).toEqual(before);
  });

  test("it can be stopped", async () => {
    const before = filesOf("many");
    const stop = new AbortController();
    const onProgress: SelectOptions["onProgress"] = ({ done }) =>
      void (done > 10_000 && stop.abort(new Error("stopped")));
    await expect(selectInto("many", { minScore: 3, signal: stop.signal, onProgress })).rejects.toThrow("stopped");
    expect(filesOf("many")).toEqual(before);
    expect((await readManifest(runFolder(run)))!.arms["many"]).toBeDefined();
  });
});
