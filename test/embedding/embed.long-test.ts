import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CallPlan } from "../../src/stages/plan-calls.ts";
import { isProcessAlive } from "../../src/process-identity.ts";
import type { ArmSummary } from "../../src/run/records/arm.ts";
import type { EmbeddingSummary } from "../../src/run/records/embedding.ts";
import { openVectors } from "../../src/run/vectors-file.ts";
import { alpagasus, misuse, prepare, startAlpagasus } from "../helpers/command-line.ts";
import { startEmbeddingServer, vectorOf } from "../helpers/embedding-server.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { writeStandInEmbedder } from "../helpers/stand-in-embedder.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

let folder: TempFolder;
let embedder: ReturnType<typeof writeStandInEmbedder>;
let env: Record<string, string>;

beforeEach(() => {
  folder = tempFolder();
  embedder = writeStandInEmbedder(folder);
  env = { PATH: `${embedder.path}:${process.env["PATH"]}` };
  folder.write("model/config.json", { model_type: "bert" });
});
afterEach(() => folder[Symbol.dispose]());

const rows = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    instruction: `Say ${i}.`,
    input: "",
    output: `Answer ${i}`,
    score: i % 5,
  }));

async function rated(count: number): Promise<void> {
  folder.write("rows.json", rows(count));
  await prepare(folder.path, ["rate", "rows.json", "--judge", "column:score", "--scale", "0..5"]);
}

async function embed(...args: string[]): Promise<EmbeddingSummary> {
  const { stdout, stderr } = await alpagasus(["embed", ...args, "--json"], { cwd: folder.path, env });
  expect(stdout, stderr).not.toBe("");
  return JSON.parse(stdout) as EmbeddingSummary;
}

const vectorsAt = async ({ vectors }: EmbeddingSummary) =>
  openVectors(`${folder.path}/${vectors.path}`, vectors.sha256, "");

describe("by a model on this machine", () => {
  test("a row's vector is of its prompt and answer, or of one of them", async () => {
    await rated(3);
    const whole = await embed("--model", "model");
    expect(whole).toMatchObject({ name: "model", text: "row", dimensions: 5, vectors: { rows: 3, embedded: 3 } });
    using vectors = await vectorsAt(whole);
    const counts = [3, 0, 0, 0, 1]; // letters a to d in "Say 0.\nAnswer 0"
    const length = Math.hypot(...counts.with(0, 1));
    expect([...vectors.at(0)!]).toEqual(counts.with(0, 1).map((value) => expect.closeTo(value / length, 6) as number));
    await embed("--model", "model", "--text", "prompt", "--name", "prompts");
    expect(embedder.asked().toSorted()).toEqual([0, 1, 2].flatMap((i) => [`Say ${i}.`, `Say ${i}.\nAnswer ${i}`]));
  });

  test("what was made is kept when the process dies, and the same command goes on", async () => {
    await rated(600);
    env["STAND_IN"] = "dies at 301";
    const { code, stderr } = await alpagasus(["embed", "--model", "model"], { cwd: folder.path, env });
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(
        "making vectors with model ended with code 1: RuntimeError: the model fell over",
      ) as string,
    ]);
    expect(existsSync(`${folder.path}/runs/default/embeddings/model.npy`)).toBe(false);
    delete env["STAND_IN"];
    const { vectors, notes } = await embed("--model", "model");
    expect(vectors.embedded).toBe(600);
    expect(notes).toContain("300 vectors were made before, and not again");
    expect(embedder.asked().toSorted()).toEqual(
      rows(600)
        .map((row) => `${row.instruction}\n${row.output}`)
        .toSorted(),
    );
  });

  test("after SIGKILL no process is left, and at most what was sent ahead is made again", async () => {
    await rated(600);
    env["STAND_IN_MS"] = "10";
    const running = startAlpagasus(["embed", "--model", "model"], { cwd: folder.path, env });
    await expect.poll(() => embedder.asked().length, { timeout: 60_000 }).toBeGreaterThan(100);
    running.kill("SIGKILL");
    await running.ended;
    await expect.poll(() => embedder.pids().some(isProcessAlive), { timeout: 60_000 }).toBe(false);
    delete env["STAND_IN_MS"];
    const first = await embed("--model", "model");
    expect(new Set(embedder.asked()).size).toBe(600);
    expect(embedder.asked().length - 600).toBeLessThanOrEqual(256);
    const again = await embed("--model", "model");
    expect(again.vectors.sha256).toBe(first.vectors.sha256);
  });

  test("a text without a vector is a state, told with its reason", async () => {
    await rated(30);
    env["STAND_IN"] = "no vector for Say 7.";
    const { code, stdout } = await alpagasus(["embed", "--model", "model", "--json"], { cwd: folder.path, env });
    const summary = JSON.parse(stdout) as EmbeddingSummary;
    expect([code, summary.vectors.embedded]).toEqual([0, 29]);
    expect(summary.notes).toContain("1 text has no vector: not enough memory for 9 tokens");
    using vectors = await vectorsAt(summary);
    expect([vectors.at(7), vectors.at(8)?.length]).toEqual([undefined, 5]);
    const strict = await alpagasus(["embed", "--model", "model", "--min-coverage", "1"], { cwd: folder.path, env });
    expect([strict.code, strict.stdout]).toEqual([
      3,
      expect.stringContaining("29 of 30 rows have a vector (96.6 %); at least 100.0 % are wanted") as string,
    ]);
  });

  test("other files under the model's name are another model, and other settings another name", async () => {
    await rated(4);
    await embed("--model", "model");
    folder.write("model/config.json", { model_type: "bert", hidden_size: 8 });
    expect((await embed("--model", "model")).notes.join("\n")).not.toContain("before");
    const { code, stderr } = await misuse(["embed", "--model", "model", "--name", "model", "--text", "answer"], {
      cwd: folder.path,
      env,
    });
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining(
        "holds vectors called model that were made otherwise (model, of the row, not model, of the answer)",
      ) as string,
    ]);
  });
});

describe("by a server", () => {
  test("each text is one call: kept, paid once, and sent with the server's own key alone", async () => {
    await rated(40);
    await using server = await startEmbeddingServer();
    const flags = ["--model", server.model, "--price", "2/0"];
    const key = `ALPAGASUS_API_KEY_${new URL(server.origin).host.replace(/\W/g, "_")}`;
    env = { ...env, [key]: "sk-own", OPENAI_API_KEY: "sk-other" };
    const plan = await alpagasus(["embed", ...flags, "--dry-run", "--json"], { cwd: folder.path, env });
    const { calls, highestUsd } = JSON.parse(plan.stdout) as CallPlan;
    expect([calls.left, server.asked.size]).toEqual([40, 0]);
    const first = await embed(...flags);
    const characters = rows(40).reduce((sum, row) => sum + row.instruction.length + 1 + row.output.length, 0);
    expect(first).toMatchObject({ name: "test-embedding", dimensions: 8, vectors: { embedded: 40 } });
    expect(first.calls).toMatchObject({ made: 40, inputTokens: characters, outputTokens: 0 });
    expect(first.calls!.paidUsd).toBeCloseTo((2 * characters) / 1e6, 9);
    expect(highestUsd).toBeGreaterThan(first.calls!.paidUsd!);
    expect([...server.authorizations]).toEqual(["Bearer sk-own"]);
    const again = await embed(...flags);
    expect(again.calls).toMatchObject({ made: 0, stored: 40, paidUsd: 0 });
    expect([again.vectors.sha256, server.replied.length]).toEqual([first.vectors.sha256, 40]);
    using vectors = await vectorsAt(first);
    const wanted = vectorOf("Say 3.\nAnswer 3");
    expect([...vectors.at(3)!]).toEqual(
      wanted.map((value) => expect.closeTo(value / Math.hypot(...wanted), 6) as number),
    );
  });

  test("faults are tried again; a text that fails, and a vector of another length, are states", async () => {
    folder.write("rows.json", [...rows(20), { instruction: "Half", input: "", output: "odd", score: 1 }]);
    await prepare(folder.path, ["rate", "rows.json", "--judge", "column:score", "--scale", "0..5"]);
    await using server = await startEmbeddingServer({
      answer: (text, before) => {
        if (text.includes("Half")) return vectorOf(text, 5);
        if (text.startsWith("Say 3.")) return { status: 400, message: "this input is too long for the context length" };
        return before === 0 && text.includes("5") ? { status: 503, message: "busy" } : vectorOf(text);
      },
    });
    const { code, stdout } = await alpagasus(["embed", "--model", server.model, "--json"], { cwd: folder.path, env });
    const { vectors, notes, calls } = JSON.parse(stdout) as EmbeddingSummary;
    expect([code, vectors.embedded, calls!.failed]).toEqual([3, 19, 1]);
    expect(notes.join("\n")).toMatch(/its vector has 5 values, and those before have 8; is it another model now\?/);
    expect(notes.join("\n")).toMatch(/1 text has no vector: .*too long/);
    expect([...server.asked.values()].reduce((sum, count) => sum + count, 0)).toBe(21 + 2); // "Say 5." and "Say 15." twice
  });

  test("a budget stops it before it is exceeded, and more of it goes on", async () => {
    await rated(200);
    await using server = await startEmbeddingServer();
    const stopped = await alpagasus(
      ["embed", "--model", server.model, "--price", "100/0", "--budget", "0.1", "--json"],
      { cwd: folder.path, env },
    );
    const { calls, vectors } = JSON.parse(stopped.stdout) as EmbeddingSummary;
    expect([stopped.code, calls!.stopped]).toEqual([4, "budget"]);
    const billed = server.replied.reduce((sum, text) => sum + text.length, 0) / 1e4;
    expect(calls!.paidUsd).toBeCloseTo(billed, 9);
    expect(billed).toBeLessThanOrEqual(0.1);
    expect(vectors.embedded).toBeLessThan(200);
    const rest = await embed("--model", server.model, "--price", "100/0", "--budget", "10");
    expect([rest.vectors.embedded, server.replied.length, new Set(server.replied).size]).toEqual([200, 200, 200]);
  });

  test("after kill -9 nothing that was paid is paid again", async () => {
    await rated(300);
    await using server = await startEmbeddingServer({ latencyMs: 20 });
    const flags = ["embed", "--model", server.model, "--concurrency", "4"];
    const running = startAlpagasus(flags, { cwd: folder.path, env });
    await expect.poll(() => server.replied.length, { timeout: 60_000 }).toBeGreaterThan(60);
    running.kill("SIGKILL");
    await running.ended;
    await embed("--model", server.model, "--concurrency", "64");
    expect(new Set(server.replied).size).toBe(300);
    expect(server.replied.length).toBeLessThanOrEqual(304); // those in flight
  });

  test("an address without embeddings is named", async () => {
    await rated(2);
    await using server = await startEmbeddingServer({ answer: () => ({ status: 404, message: "no such model" }) });
    const { code, stderr } = await alpagasus(["embed", "--model", server.model], { cwd: folder.path, env });
    expect([code, stderr]).toEqual([2, expect.stringContaining("no such model") as string]);
    expect(stderr).toContain("/v1/embeddings");
  });
});

describe("rows are chosen by vectors", () => {
  const texts = ["aaaa", "aaab", "bbbb", "bbbc", "cccc", "dddd", "aaaa a"];
  beforeEach(async () => {
    folder.write(
      "rows.json",
      texts.map((instruction, i) => ({ instruction, input: "", output: "-", score: i })),
    );
    folder.write("dev.json", [
      { instruction: "aaaaaaaa", input: "", output: "-" },
      { instruction: "dd", input: "", output: "-" },
    ]);
    await prepare(folder.path, ["rate", "rows.json", "--judge", "column:score", "--scale", "0..6"]);
  });
  const kept = (arm: string) =>
    parseLines<{ index: number; kept: boolean; target?: number; reason: string; of?: number }>(
      readFileSync(`${folder.path}/runs/default/arms/${arm}.decisions.jsonl`, "utf8"),
    );
  const select = async (...args: string[]) => {
    const { code, stdout, stderr } = await alpagasus(["select", ...args, "--json"], { cwd: folder.path, env });
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout) as ArmSummary;
  };

  test("toward examples: each in its turn takes the nearest row that is left", async () => {
    await embed("--model", "model", "--target", "dev.json");
    const arm = await select("--toward", "dev.json", "--top", "3");
    expect(arm).toMatchObject({ arm: "toward", method: "toward", choice: "the 3 rows nearest to dev.json" });
    const decisions = kept("toward");
    expect(decisions.filter((one) => one.kept).map(({ index, target }) => [index, target])).toEqual([
      [0, 0],
      [5, 1],
      [6, 0],
    ]);
    expect(decisions[1]).toMatchObject({ reason: "farther" });
    await select("--toward", "dev.json", "--top", "2", "--min-score", "5", "--arm", "good");
    expect(kept("good").map(({ reason }) => reason)).toEqual([...Array(5).fill("below cut"), "kept", "kept"]);
  });

  test("without semantic duplicates, and apart: the better row stays", async () => {
    await embed("--model", "model");
    await select("--dedup", "semantic", "--similarity", "0.97", "--arm", "sem");
    expect(kept("sem")[0]).toMatchObject({ kept: false, reason: "semantic duplicate", of: 6 });
    await select("--diverse", "0.3", "--vectors", "model", "--arm", "apart");
    expect(kept("apart").map((one) => one.kept)).toEqual([false, false, false, true, true, true, true]);
  });

  test("an arm is stale when its vectors are made anew of other text", async () => {
    await embed("--model", "model");
    await select("--dedup", "semantic", "--arm", "sem");
    await embed("--model", "model", "--name", "model", "--text", "answer", "--overwrite");
    const { stdout } = await alpagasus(["status", "--json"], { cwd: folder.path });
    expect(stdout).toMatch(/"isStale": ?true/);
  });

  test("an arm is stale when its examples change, and their former vectors are gone", async () => {
    const first = await embed("--model", "model", "--target", "dev.json");
    await select("--toward", "dev.json", "--top", "2");
    const isStale = async () =>
      (
        JSON.parse((await alpagasus(["status", "--json"], { cwd: folder.path })).stdout) as {
          arms: { isStale: boolean }[];
        }
      ).arms[0]!.isStale;
    expect(await isStale()).toBe(false);
    folder.write("dev.json", [{ instruction: "bbb", input: "", output: "-" }]);
    const { targets } = await embed("--model", "model", "--target", "dev.json");
    expect(Object.values(targets)).toHaveLength(1);
    expect(existsSync(`${folder.path}/${Object.values(first.targets)[0]!.path}`)).toBe(false);
    expect(await isStale()).toBe(true);
    const { stdout } = await alpagasus(["status"], { cwd: folder.path });
    expect(stdout).toContain("vectors  model: of the row, by model: 7 rows");
    expect(stdout).toContain("stale: what it was chosen by has changed");
  });

  test("notes tell how near the rows are, and that an option changed nothing", async () => {
    await embed("--model", "model", "--target", "dev.json");
    const arm = await select("--toward", "dev.json", "--top", "3");
    expect(arm.notes.join("\n")).toMatch(
      /similarity to their examples \(cosine\) is \d\.\d\d to \d\.\d\d, .*an example has 1 to 2/,
    );
    const same = await select("--top", "2", "--dedup", "semantic", "--similarity", "1", "--arm", "same");
    expect(same.notes.join("\n")).toContain("--dedup semantic left out no row");
  });

  test("of examples without answers, prompts suffice with --text prompt, and the message says so", async () => {
    folder.write("dev.json", [{ instruction: "aaaa" }]);
    const { code, stderr } = await misuse(["embed", "--model", "model", "--target", "dev.json"], {
      cwd: folder.path,
      env,
    });
    expect([code, stderr]).toEqual([2, expect.stringContaining("make vectors with --text prompt") as string]);
    expect(stderr).not.toContain("--map");
    expect((await embed("--model", "model", "--target", "dev.json", "--text", "prompt")).name).toBe("model-prompt");
    const arm = await select("--toward", "dev.json", "--top", "1", "--vectors", "model-prompt");
    expect(kept("toward").find((one) => one.kept)!.index).toBe(0);
    expect(arm.rows).toBe(1);
  });

  test("a file of vectors that was changed is refused", async () => {
    const { vectors } = await embed("--model", "model");
    const bytes = readFileSync(`${folder.path}/${vectors.path}`);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(`${folder.path}/${vectors.path}`, bytes);
    const { code, stderr } = await misuse(["select", "--dedup", "semantic"], { cwd: folder.path, env });
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining(
        "expected the vectors that were written, got a changed file; make them again: alpagasus embed --run runs/default --model model",
      ) as string,
    ]);
  });

  test.each<[string[], number, string]>([
    [
      ["--dedup", "semantic"],
      2,
      "--dedup semantic expected vectors of the rows, found none; make them: alpagasus embed",
    ],
    [["--toward", "dev.json"], 2, "--toward: expected how many rows to keep"],
    [["--toward", "dev.json", "--top", "3", "--by", "score"], 2, "leave out --by"],
    [["--toward", "dev.json", "--top", "3", "--method", "random"], 2, "leave out --method random"],
    [["--top", "3", "--vectors", "model"], 2, "--vectors: expected --toward FILE, --dedup semantic, --diverse"],
    [["--top", "3", "--similarity", "0.5"], 2, "--similarity: expected --dedup near or --dedup semantic"],
    [["--dedup", "near", "--similarity", "2"], 2, "--similarity: expected a similarity over 0 and up to 1"],
  ])("select %j is refused in a line", async (args, code, message) => {
    const result = await misuse(["select", ...args], { cwd: folder.path, env });
    expect([result.code, result.stderr]).toEqual([code, expect.stringContaining(message) as string]);
  });

  test("a target that was not embedded, or was edited, is named with the command", async () => {
    await embed("--model", "model", "--target", "dev.json");
    folder.write("dev.json", [{ instruction: "b", input: "", output: "-" }]);
    const { code, stderr } = await misuse(["select", "--toward", "dev.json", "--top", "3"], { cwd: folder.path, env });
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining(
        "make them: alpagasus embed --run runs/default --model model --target dev.json",
      ) as string,
    ]);
  });
});

test.each<[string[], string]>([
  [["--model", "nowhere"], "--model: expected a folder with a model (config.json), a Hub id (owner/name), minilm"],
  [["--model", "anthropic:claude-haiku-4-5"], "expected a model that makes vectors"],
  [["--model", "model", "--budget", "3"], "--budget: expected a judge that calls a model"],
  [["--model", "model", "--dry-run"], "--dry-run: expected a model behind an API"],
  [["--model", "openai:text-embedding-3-small", "--batch"], "--batch: vectors have no such option"],
  [["--model", "openai:text-embedding-3-small", "--max-length", "9"], "--max-length: expected a model on this machine"],
  [["--model", "openai:text-embedding-3-small"], "OPENAI_API_KEY"],
  [["--model", "model", "--target", "gone.json"], "gone.json: no such file"],
])("embed %j is refused in a line", async (args, message) => {
  await rated(2);
  const { code, stderr } = await misuse(["embed", ...args], { cwd: folder.path, env });
  expect([code, stderr]).toEqual([2, expect.stringContaining(message) as string]);
  expect(embedder.asked()).toEqual([]);
});

test("a run without ratings, and a store of another program, are told in a line", async () => {
  const { code, stderr } = await misuse(["embed", "--model", "model"], { cwd: folder.path, env });
  expect([code, stderr]).toEqual([2, expect.stringContaining("expected a run with ratings") as string]);
  await rated(2);
  new DatabaseSync(folder.write(".alpagasus/vectors.sqlite", "")).exec("create table t (a)");
  const other = await misuse(["embed", "--model", "model"], { cwd: folder.path, env });
  expect([other.code, other.stderr]).toEqual([
    2,
    expect.stringContaining("vectors.sqlite: expected the file that keeps texts' vectors") as string,
  ]);
});
