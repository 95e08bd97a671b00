import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ArmSummary } from "../../src/run/records/arm.ts";
import type { EmbeddingSummary } from "../../src/run/records/embedding.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { startEmbeddingServer, vectorOf } from "../helpers/embedding-server.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { writeStandInEmbedder } from "../helpers/stand-in-embedder.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* Vectors under servers that fail, odd data and changed files: what a hostile review found. */

let folder: TempFolder;
let env: Record<string, string>;
beforeEach(() => {
  folder = tempFolder();
  env = { PATH: `${writeStandInEmbedder(folder).path}:${process.env["PATH"]}` };
  folder.write("model/config.json", { model_type: "bert" });
});
afterEach(() => folder[Symbol.dispose]());

interface Line {
  readonly index: number;
  readonly kept: boolean;
  readonly reason: string;
  readonly target?: number;
}
const decisions = (arm: string, run = "runs/default") =>
  parseLines<Line>(readFileSync(`${folder.path}/${run}/arms/${arm}.decisions.jsonl`, "utf8"));
const run = (...args: string[]) => alpagasus(args, { cwd: folder.path, env });
const row = (instruction: string, score = 1) => ({ instruction, input: "", output: "-", score });
async function rated(rows: readonly object[]): Promise<void> {
  folder.write("rows.json", rows);
  await prepare(folder.path, ["rate", "rows.json", "--judge", "column:score", "--scale", "0..9"]);
}
async function select(...args: string[]): Promise<ArmSummary> {
  const { stdout, stderr } = await run("select", ...args, "--json");
  expect(stdout, stderr).not.toBe("");
  return JSON.parse(stdout) as ArmSummary;
}

test("examples that get no vector are told of, and an arm is made again once they have", async () => {
  folder.write(
    "rows.json",
    Array.from({ length: 40 }, (_, i) => row(`Row ${i}`, i % 5)),
  );
  folder.write("dev.json", [row("good"), row("bad one"), row("bad two")]);
  let isBroken = true;
  await using server = await startEmbeddingServer({
    answer: (text) =>
      isBroken && text.startsWith("bad") ? { status: 400, message: "too long for the context length" } : vectorOf(text),
  });
  folder.write(
    "recipe.yaml",
    `name: r
data: rows.json
rate: { judge: "column:score", scale: [0, 9] }
embeddings: { v: { model: "${server.model}", min_coverage: 0.2 } }
arms:
  near: { toward: dev.json, top: 6 }
  random: { method: random }
`,
  );
  expect((await run("run", "recipe.yaml")).code).toBe(0);
  const arm = (
    JSON.parse(readFileSync(`${folder.path}/runs/r/run.json`, "utf8")) as { arms: Record<string, ArmSummary> }
  ).arms["near"]!;
  expect(arm.alarms.join("\n")).toContain("2 examples of 3 in dev.json have no vector by v");
  const targets = () => new Set(decisions("near", "runs/r").flatMap(({ target }) => target ?? []));
  expect(targets()).toEqual(new Set([0]));
  isBroken = false;
  const again = await run("run", "recipe.yaml", "--retry-failed");
  expect(again.code, again.stderr).toBe(0);
  expect(targets()).toEqual(new Set([0, 1, 2]));
  expect((await run("run", "recipe.yaml", "--dry-run")).stdout).toContain("Nothing is due");
  const strict = await run("embed", "--run", "runs/r", "--model", server.model, "--name", "v", "--target", "dev.json");
  expect(strict.code).toBe(0); // each file has a gate of its own
});

test("a folder or a pattern of examples is looked at as a whole", async () => {
  folder.write(
    "rows.json",
    ["aa", "bb", "cc", "dd"].map((text) => row(text)),
  );
  mkdirSync(`${folder.path}/dev`);
  folder.write("dev/1.json", [row("aaaa")]);
  folder.write(
    "recipe.yaml",
    `name: r
data: rows.json
rate: { judge: "column:score", scale: [0, 9] }
embeddings: { v: { model: model } }
arms:
  whole: { toward: dev, top: 1 }
  pattern: { toward: "dev/*.json", top: 1, diverse: 0.5 }
`,
  );
  const first = await run("run", "recipe.yaml");
  expect(first.code, first.stderr).toBe(0);
  expect(decisions("pattern", "runs/r")[0]!.kept).toBe(true);
  folder.write("dev/1.json", [row("dddd")]);
  const plan = (await run("run", "recipe.yaml", "--dry-run")).stdout;
  expect(plan).toMatch(/embed v +due/);
  expect((await run("run", "recipe.yaml")).code).toBe(0);
  for (const arm of ["whole", "pattern"]) expect(decisions(arm, "runs/r")[3]!.kept).toBe(true);
  // other vectors in the run are no concern of the recipe
  await run("embed", "--run", "runs/r", "--model", "model", "--name", "other");
  expect((await run("run", "recipe.yaml", "--force", "select")).code).toBe(0);
});

test("near to examples and without duplicates: rejected rows cost no turn, and as many are kept as there are", async () => {
  await rated([
    ...Array.from({ length: 1500 }, () => row("aaaa")),
    ...Array.from({ length: 80 }, (_, i) => row(`${"b".repeat(1 + (i % 9))}${"c".repeat(1 + Math.floor(i / 9))}`)),
  ]);
  folder.write("dev.json", [row("aaaa"), row("bc")]);
  await run("embed", "--model", "model", "--target", "dev.json");
  const { rows } = await select("--toward", "dev.json", "--top", "40", "--dedup", "exact");
  expect(rows).toBe(40);
  const counts = Map.groupBy(
    decisions("toward").filter(({ kept }) => kept),
    ({ target }) => target,
  );
  expect([counts.get(0)!.length, counts.get(1)!.length]).toEqual([20, 20]);
});

test("a control of an arm near to examples is drawn from what that one could take", async () => {
  await rated(Array.from({ length: 200 }, (_, i) => row(`${"ab".repeat(i % 7)} ${i}`, i % 10)));
  folder.write("dev.json", [row("aaaa")]);
  env["STAND_IN"] = "no vector for 9";
  await run("embed", "--model", "model", "--target", "dev.json", "--min-coverage", "0");
  await select("--toward", "dev.json", "--top", "30", "--min-score", "5");
  const other = decisions("toward");
  const { notes } = await select("--method", "random", "--like", "toward");
  for (const { index, kept } of decisions("random"))
    if (kept) expect(["kept", "farther"]).toContain(other[index]!.reason);
  expect(notes.join("\n")).toContain("drawn from the same rows as toward");
});

test("without a single vector, selecting by vectors is refused in a line", async () => {
  await rated([row("a"), row("b")]);
  await using server = await startEmbeddingServer({ answer: () => [0, 0, 0] });
  expect((await run("embed", "--model", server.model, "--name", "v")).code).toBe(3);
  for (const flags of [
    ["--dedup", "semantic"],
    ["--diverse", "--vectors", "v"],
  ]) {
    const { code, stderr } = await run("select", ...flags);
    expect([code, stderr]).toEqual([2, expect.stringContaining("found v without any; make them again") as string]);
  }
});

test("vectors in base64, and one alone in a list, are read; anything else is named", async () => {
  await rated([row("aa"), row("bb")]);
  const base64 = (text: string) => Buffer.from(Float32Array.from(vectorOf(text)).buffer).toString("base64");
  const ways: [string, (text: string) => unknown][] = [
    ["base64", base64],
    ["nested", (text) => [vectorOf(text)]],
  ];
  for (const [name, as] of ways) {
    await using server = await startEmbeddingServer({ answer: (text) => ({ as: as(text) }) });
    const { code, stderr } = await run("embed", "--model", server.model, "--name", name);
    expect([name, code], stderr).toEqual([name, 0]);
    expect(server.replied).toHaveLength(2);
  }
  let isCut = true;
  await using cut = await startEmbeddingServer({ answer: (text) => ({ as: isCut ? "AAAA" : base64(text) }) });
  expect((await run("embed", "--model", cut.model, "--name", "cut", "--max-attempts", "1")).code).not.toBe(0);
  isCut = false;
  expect((await run("embed", "--model", cut.model, "--name", "cut", "--retry-failed", "--overwrite")).code).toBe(0);
  await using server = await startEmbeddingServer({ answer: () => ({ as: { dense: [1] } }) });
  const { stdout, stderr } = await run("embed", "--model", server.model, "--name", "other", "--max-attempts", "1");
  expect(stdout + stderr).toContain('a vector in it that is none (embedding: {"dense":[1]})');
});

test("usage that cannot be counts as none: the reserve is booked, and the run goes on", async () => {
  await rated([row("aa"), row("bb")]);
  for (const tokens of [1e300, -1_000_000]) {
    await using server = await startEmbeddingServer({ tokens });
    const flags = ["embed", "--model", server.model, "--price", "1/0", "--name", `v${tokens > 0 ? 1 : 2}`, "--json"];
    const { code, stdout, stderr } = await run(...flags);
    expect(code, stderr).toBe(0);
    const { calls, notes } = JSON.parse(stdout) as EmbeddingSummary;
    expect(calls!.paidUsd).toBeGreaterThan(0);
    expect(calls!.paidUsd).toBeLessThan(0.001);
    expect(notes.join("\n")).toContain("replies came without token usage");
  }
});

test("vectors that were there stay when making others in their place fails", async () => {
  await rated([row("aa"), row("bb")]);
  folder.write("dev.json", [row("a")]);
  await run("embed", "--model", "model");
  mkdirSync(`${folder.path}/second`);
  folder.write("second/config.json", { model_type: "bert", hidden_size: 3 });
  env["STAND_IN"] = "dies at 3"; // in the file of examples
  const { code } = await run("embed", "--model", "second", "--name", "model", "--overwrite", "--target", "dev.json");
  expect(code).toBe(1);
  expect((await run("select", "--dedup", "semantic")).code).toBe(0);
});

test("the same text is the same, whatever the rounding", async () => {
  await rated(Array.from({ length: 40 }, (_, i) => row(`${"abcd".repeat(1 + (i % 20))}${"a".repeat(i % 20)}`)));
  await run("embed", "--model", "model");
  const { rows } = await select("--top", "40", "--dedup", "semantic", "--similarity", "1");
  expect(rows).toBeLessThanOrEqual(20);
});

test("no name of vectors is that of another's examples", async () => {
  await rated([row("aa"), row("bb")]);
  folder.write("dev.json", [row("a")]);
  const { stdout } = await run("embed", "--model", "model", "--name", "v", "--target", "dev.json", "--json");
  const [hash] = Object.keys((JSON.parse(stdout) as EmbeddingSummary).targets);
  expect((await run("embed", "--model", "model", "--name", `v.${hash}`)).code).toBe(0);
  expect((await run("select", "--toward", "dev.json", "--top", "1", "--vectors", "v")).code).toBe(0);
  expect(existsSync(`${folder.path}/runs/default/embeddings/targets/v.${hash}.npy`)).toBe(true);
});
