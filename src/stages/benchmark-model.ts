import { createHash, hash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import * as z from "zod";
import type { BenchmarkTask } from "../benchmark/tasks.ts";
import { harnessRequirements, runHarness, type HarnessJob, type ServedModel } from "../benchmark/run-harness.ts";
import { makeFolder } from "../files/make-folder.ts";
import { hashFile } from "../files/hash-file.ts";
import { tryParse } from "../files/try-parse.ts";
import { findServed, isServed } from "../benchmark/served-model.ts";
import { findLocalModel, hashModel, type LocalModel } from "../generation/local-model.ts";
import { isSmollm2, makeSmollm2 } from "../python/smollm2.ts";
import type { RunFolder } from "../run/run-folder.ts";
import { defaultSeed } from "../stats/random.ts";
import type { StageOptions } from "./progress.ts";

export interface RunModelOptions extends StageOptions {
  /** Tasks by the harness's names, or of `include`; with the examples in the prompt where they are not the task's own. */
  readonly tasks: readonly BenchmarkTask[];
  /** A folder with tasks of one's own, as the harness reads them. */
  readonly include?: string | undefined;
  /** Only the first items of each task (of each part of a group). */
  readonly limit?: number | undefined;
  /** Puts prompts into the models' own chat templates. */
  readonly chat?: boolean | undefined;
  /** For models behind servers: the folder or Hub id of their tokenizer, which tasks need that compare probabilities. */
  readonly tokenizer?: string | undefined;
  /** Requests at a time. */
  readonly batch?: number | undefined;
  readonly seed?: number | undefined;
  /** Lets tasks run code that a model wrote. Only in a container. */
  readonly allowCode?: boolean | undefined;
}

const partSchema = z.object({
  metric: z.string(),
  filter: z.string(),
  higherIsBetter: z.boolean(),
  value: z.number().nullable(),
  standardError: z.number().nullable(),
  version: z.string(),
  shots: z.number().nullish(),
  items: z.number(),
});
const resultSchema = z.object({
  harness: z.string(),
  value: z.number().nullable(),
  tasks: z.record(z.string(), partSchema),
});
const itemSchema = z.object({
  task: z.string(),
  item: z.number(),
  documentHash: z.string(),
  promptHash: z.string(),
  value: z.number().nullable(),
});

/** What a model did in a task. */
export interface Measured {
  readonly result: z.infer<typeof resultSchema>;
  /** A line an item. */
  readonly path: string;
  /** By task, item and the hash of its document, so that the same key is the same item. */
  readonly values: ReadonlyMap<string, number>;
  readonly prompts: ReadonlyMap<string, string>;
}

/** A model that the harness loads, or one behind a server. */
export type BenchmarkedModel =
  | { readonly kind: "local"; readonly local: LocalModel }
  | { readonly kind: "served"; readonly served: ServedModel; readonly identity: string };

/** Finds a model by its name. @throws UsageError, RunError when it is not there */
export async function findModel(
  model: string,
  run: RunFolder,
  tokenizer: string | undefined,
): Promise<BenchmarkedModel> {
  if (isServed(model)) return { kind: "served", ...(await findServed(model, tokenizer)) };
  return { kind: "local", local: await findLocalModel(model, run) };
}

/** Runs what is not done of a model's tasks, and reads all of them. */
export async function runModel(
  model: string,
  found: BenchmarkedModel,
  run: RunFolder,
  options: RunModelOptions,
): Promise<ReadonlyMap<string, Measured>> {
  const { tasks, include, limit, chat, batch, seed = defaultSeed, allowCode, signal, onProgress } = options;
  makeFolder(join(run.folder, "benchmarks"));
  const show = (doing: string, done = 0, total?: number) =>
    onProgress?.({ stage: "benchmark", doing: `${model}: ${doing}`, done, total, unit: "calls" });
  if (isSmollm2(model) && !existsSync(run.modelPath(model))) await makeSmollm2(signal, (phase) => show(phase));
  const local = found.kind === "local" ? found.local : undefined;
  const own = found.kind === "local" ? await hashModel(found.local, signal) : found.identity;
  const identity = [own, local?.precision, await hashFile(harnessRequirements)];
  const included = include === undefined ? null : hashTasks(include);
  const files = tasks.map(({ name, shots }) => {
    const settings = [identity, name, shots ?? null, limit ?? null, chat ?? false, seed, included];
    const key = hash("sha256", JSON.stringify(settings)).slice(0, 10);
    const items = run.benchmarkPath(model.replaceAll(/[^\w.-]+/g, "-"), name, key); // other settings have files of their own
    return { name, shots: shots ?? null, items, result: items.replace(/jsonl$/, "json") };
  });
  const left = files.filter(({ result }) => !existsSync(result));
  if (left.length > 0) {
    const jobPath = join(
      run.folder,
      "benchmarks",
      `.job-${hash("sha256", files.map(({ items }) => items).join()).slice(0, 10)}.json`,
    );
    const job: HarnessJob = {
      model: local?.path ?? model,
      served: found.kind === "served" ? found.served : null,
      base: local?.adapter?.base ?? null,
      precision: local?.precision ?? "fp32", // of a served model its server decides
      chat: chat ?? false,
      include: include === undefined ? null : resolve(include),
      limit: limit ?? null,
      batch: batch ?? null,
      seed,
      allowCode: allowCode ?? false,
      tasks: left.map(({ name, shots, items, result }) => ({
        name,
        shots,
        items: resolve(items),
        result: resolve(result),
      })),
    };
    await writeFile(jobPath, JSON.stringify(job));
    let doing = "starting";
    try {
      await runHarness(resolve(jobPath), {
        log: join(run.folder, "benchmarks", "log.txt"),
        allowCode: allowCode ?? false,
        signal,
        onPhase: (phase) => show((doing = phase)),
        onRequests: (done, total) => show(doing, done, total),
      });
    } finally {
      rmSync(jobPath, { force: true });
    }
  }
  const all = new Map<string, Measured>();
  for (const { name, items, result } of files) all.set(name, await readMeasured(items, result));
  return all;
}

/** Changes when a file of the folder does. */
export function hashTasks(folder: string): string {
  const sha = createHash("sha256");
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted();
  for (const name of names.filter((one) => statSync(join(folder, one)).isFile()))
    sha.update(`${name}\0`).update(readFileSync(join(folder, name)));
  return sha.digest("hex");
}

async function readMeasured(items: string, resultPath: string): Promise<Measured> {
  const result = resultSchema.parse(JSON.parse(await readFile(resultPath, "utf8")));
  const values = new Map<string, number>();
  const prompts = new Map<string, string>();
  for (const line of (await readFile(items, "utf8")).split("\n")) {
    const read = itemSchema.safeParse(tryParse(line));
    if (!read.success) continue;
    const { task, item, documentHash, promptHash, value } = read.data;
    const key = `${task} ${item} ${documentHash}`;
    prompts.set(key, promptHash);
    if (value !== null) values.set(key, value);
  }
  return { path: items, result, values, prompts };
}
