import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packageFolder } from "../../src/package-folder.ts";
import { uvArguments } from "../../src/python/uv.ts";
import { areaUnderCurve } from "../../src/stats/agreement.ts";
import type { EmbeddingSummary } from "../../src/run/records/embedding.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";
import { trainerPython } from "../helpers/trainer-python.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* Vectors, made for real. */

const here = fileURLToPath(new URL("./", import.meta.url));
const topics = [
  ["Which fruit is yellow?", "A banana is yellow."],
  ["Name a yellow fruit.", "The banana is a yellow fruit."],
  ["How do I reverse a list in Python?", "Use items[::-1], or items.reverse() in place."],
  ["Write a SQL query that counts users.", "SELECT count(*) FROM users;"],
  ["Übersetze: the dog sleeps", "Der Hund schläft."],
  ["Tell a long story.", "Once upon a time there was a fox. ".repeat(60)],
] as const;
const rows = topics.map(([instruction, output], score) => ({ instruction, input: "", output, score }));
const texts = rows.map(({ instruction, output }) => `${instruction}\n${output}`);

let folder: TempFolder;

beforeAll(async () => {
  folder = tempFolder();
  folder.write("rows.json", rows);
  folder.write("dev.json", [
    { instruction: "Fix this JavaScript loop.", input: "", output: "for (const x of list) f(x);" },
  ]);
  trainerPython(`${here}tiny.py`, ["rows.json", "tiny"], "", folder.path);
  await prepare(folder.path, ["rate", "rows.json", "--judge", "column:score", "--scale", "0..9"]);
});
afterAll(() => folder[Symbol.dispose]());

async function embed(...args: string[]): Promise<EmbeddingSummary> {
  const { code, stdout, stderr } = await alpagasus(["embed", ...args, "--json"], {
    cwd: folder.path,
    env: pythonEnvironment,
  });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as EmbeddingSummary;
}

/** Our file as NumPy reads it, and the same vectors made one at a time. */
function reference(model: string, kind: "encode" | "average", { vectors }: EmbeddingSummary) {
  const found = execFileSync(
    "uv",
    uvArguments(`${here}embed.py`, [model, kind, vectors.path], ["sentence-transformers==6.2.0"]),
    { input: JSON.stringify(texts), cwd: folder.path, encoding: "utf8", env: { ...process.env, HF_HUB_OFFLINE: "1" } },
  );
  return JSON.parse(found) as { dtype: string; ours: number[][]; theirs: number[][] };
}

function expectEqual({ dtype, ours, theirs }: ReturnType<typeof reference>): void {
  expect([dtype, ours.length]).toEqual(["float32", rows.length]);
  for (const [i, vector] of theirs.entries())
    for (const [k, value] of vector.entries()) expect(ours[i]![k]).toBeCloseTo(value, 5);
}

test("minilm's vectors are those of sentence-transformers; near in meaning is near in vectors", async () => {
  const summary = await embed("--target", "dev.json");
  expect(summary).toMatchObject({
    name: "minilm",
    model: "minilm",
    dimensions: 384,
    vectors: { embedded: rows.length },
  });
  expect(summary.notes.join("\n")).toContain("1 text is longer than the model reads");
  expectEqual(reference(`${folder.path}/.alpagasus/models/all-minilm-l6-v2`, "encode", summary));
  const kept = async (...args: string[]) => {
    const { code, stderr } = await alpagasus(["select", ...args, "--arm", "chosen"], { cwd: folder.path });
    expect(code, stderr).toBe(0);
    return parseLines<{ index: number; kept: boolean }>(
      readFileSync(`${folder.path}/runs/default/arms/chosen.decisions.jsonl`, "utf8"),
    ).flatMap((one) => (one.kept ? [one.index] : []));
  };
  expect(await kept("--toward", "dev.json", "--top", "2")).toEqual([2, 3]); // the rows with code
  expect(await kept("--dedup", "semantic", "--similarity", "0.8")).toEqual([1, 2, 3, 4, 5]); // one of both bananas
});

test("a causal model's vectors are RDS+'s averages of its last states, weighted by position", async () => {
  const summary = await embed("--model", "tiny");
  expect(summary.vectors.embedded).toBe(rows.length);
  expectEqual(reference("tiny", "average", summary));
});

test("student-lm tells other rows' answers from the right ones by MiniLM's vectors", async () => {
  const read = (name: string) => JSON.parse(readFileSync(`${packageFolder}samples/${name}`, "utf8")) as Row[];
  type Row = { instruction: string; input: string; output: string };
  const sample = read("alpaca-2000.json").slice(0, 60);
  const shown = sample.map((row, i) => (i % 2 === 0 ? row : { ...row, output: sample[(i + 30) % 60]!.output }));
  folder.write("fit.json", shown);
  const rated = await alpagasus(["rate", "fit.json", "--judge", "student-lm", "--run", "runs/fit"], {
    cwd: folder.path,
    env: pythonEnvironment,
  });
  expect(rated.code, rated.stderr).toBe(0);
  const ratings = parseLines(readFileSync(`${folder.path}/runs/fit/ratings.jsonl`, "utf8")) as {
    score: number;
    marks: { fits: number };
  }[];
  const isTrue = ratings.map((_, i) => i % 2 === 0);
  expect(
    areaUnderCurve(
      ratings.map(({ marks }) => marks.fits),
      isTrue,
    ),
  ).toBeGreaterThan(0.95);
  expect(
    areaUnderCurve(
      ratings.map(({ score }) => score),
      isTrue,
    ),
  ).toBeGreaterThan(0.85);
});
