import { createHash, hash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import * as z from "zod";
import { runHarness, type HarnessJob } from "../benchmark/run-harness.ts";
import { UsageError } from "../errors.ts";
import { makeFolder } from "../files/make-folder.ts";
import { hashModelFolder, hubCommit } from "../files/model-hash.ts";
import { tryParse } from "../files/try-parse.ts";
import { formatCount, formatNumbered, formatShare } from "../format.ts";
import { findLocalModel, type LocalModel } from "../generation/local-model.ts";
import { isSmollm2, makeSmollm2 } from "../python/smollm2.ts";
import { toEstimateRecord } from "../run/estimate-record.ts";
import type { BenchmarkDifference, BenchmarkSummary, ModelBenchmark } from "../run/records/benchmarks.ts";
import { extendManifest, readManifest, runFolder, type RunFolder } from "../run/run-folder.ts";
import { crossedMean, crossedRatio } from "../stats/crossed-mean.ts";
import { itemDifference } from "../stats/item-difference.ts";
import { holm } from "../stats/many-comparisons.ts";
import { defaultSeed } from "../stats/random.ts";
import { groupOf, type ModelGroup } from "./model-groups.ts";
import type { StageOptions } from "./progress.ts";

export interface BenchmarkOptions extends StageOptions {
  /** The run's folder. */
  readonly run: string;
  /** Models as `generate` names them, or groups of trainings of one arm. The first is compared with every other. */
  readonly models: readonly (string | ModelGroup)[];
  /** Tasks by the harness's names, or of `include`; with the examples in the prompt where they are not the task's own. */
  readonly tasks: readonly BenchmarkTask[];
  /** A folder with tasks of one's own, as the harness reads them. */
  readonly include?: string | undefined;
  /** Only the first items of each task (of each part of a group). */
  readonly limit?: number | undefined;
  /** Puts prompts into the models' own chat templates. */
  readonly chat?: boolean | undefined;
  /** Rows at a time. */
  readonly batch?: number | undefined;
  readonly seed?: number | undefined;
  /** Lets tasks run code that a model wrote. Only in a container. */
  readonly allowCode?: boolean | undefined;
}

export interface BenchmarkTask {
  readonly name: string;
  readonly shots?: number | undefined;
}

/**
 * The tasks of AlpaGasus's table of benchmarks, with the examples a prompt that its evaluation suite uses (INSTRUCTEVAL,
 * arXiv 2306.04757).
 */
export const paperTasks: readonly BenchmarkTask[] = [
  { name: "mmlu", shots: 5 },
  { name: "bbh_fewshot", shots: 3 },
  { name: "drop", shots: 3 },
  { name: "humaneval", shots: 0 },
];

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
  promptHash: z.string(),
  value: z.number().nullable(),
});

interface Measured {
  readonly result: z.infer<typeof resultSchema>;
  /** By task and item. */
  readonly values: ReadonlyMap<string, number>;
  readonly prompts: ReadonlyMap<string, string>;
}

const significance = 0.05;
const fewItems = 30;

/**
 * Runs benchmarks by lm-evaluation-harness on this machine, and compares models on the same items. What a model has done of a task is kept, and
 * not run again while model, task and settings are the same.
 *
 * @returns a summary a task
 * @throws UsageError when a model or task is not found, or a task runs code and may not
 */
export async function benchmark(options: BenchmarkOptions): Promise<BenchmarkSummary[]> {
  const startedAt = new Date();
  const run = runFolder(options.run);
  const manifest = await readManifest(run);
  const groups = options.models.map((one) => (typeof one === "string" ? groupOf(one, manifest) : one));
  const twice = groups.find(({ group }, i) => groups.findIndex((other) => other.group === group) < i);
  if (groups.length === 0 || twice)
    throw new UsageError(`--models: expected each model once, got ${twice ? `${twice.group} again` : "none"}`);
  if (options.include !== undefined && !existsSync(options.include))
    throw new UsageError(`--include: expected a folder with tasks, got ${options.include}, which is not there`);
  if (options.allowCode) expectContainer();
  for (const { name } of options.tasks) expectTaskName(name);
  const found = new Map<string, LocalModel>();
  for (const model of groups.flatMap(({ models }) => models)) found.set(model, await findLocalModel(model, run));
  const measured = new Map<string, ReadonlyMap<string, Measured>>();
  for (const [model, local] of found) measured.set(model, await runModel(model, local, run, options));
  const compared = options.tasks.map(({ name }) => compareGroups(groups, (model) => measured.get(model)!.get(name)!));
  const adjusted = holm(compared.flat().map(({ pValue }) => pValue));
  let next = 0;
  const summaries = options.tasks.map(({ name }, i): BenchmarkSummary => {
    const of = (model: string) => measured.get(model)!.get(name)!;
    const models = groups.flatMap(({ group, models: members }) =>
      members.map((model) => summariseModel(model, group, of(model), itemsPath(run, model, name))),
    );
    const differences = compared[i]!.map((difference): BenchmarkDifference => {
      const adjustedPValue = adjusted[next++]!;
      return { ...difference, adjustedPValue, sentence: conclude(name, difference, adjustedPValue, models) };
    });
    const { harness, tasks } = of(groups[0]!.models[0]!).result;
    const parts = Object.entries(tasks).map(([task, { metric, filter, version, shots = null, items }]) => ({
      ...{ task, metric, filter, version, shots, items },
    }));
    const metrics = [...new Set(parts.map(({ metric }) => metric))];
    return {
      task: name,
      harness,
      metric: metrics.join(", "),
      higherIsBetter: Object.values(tasks).every(({ higherIsBetter }) => higherIsBetter),
      parts,
      models,
      differences,
      notes: describeItems(groups, of, models, options),
      gates: [],
      itemsHash: hash("sha256", models.map(({ path }) => readFileSync(path, "utf8")).join("\0")),
      command: options.command,
      startedAt: startedAt.toISOString(),
      wallMs: Date.now() - startedAt.getTime(),
    };
  });
  const byTask = Object.fromEntries(summaries.map((summary) => [summary.task, summary]));
  await extendManifest(run, (latest) => ({ benchmarks: { ...latest?.benchmarks, ...byTask } }));
  return summaries;
}

function expectTaskName(name: string): void {
  if (!/^[\w][\w.+-]*$/.test(name))
    throw new UsageError(
      `--tasks: expected names of the harness's tasks, as in mmlu,drop, got ${JSON.stringify(name)}`,
    );
}

/** @throws UsageError outside a container: code that a model wrote can do what its user can */
function expectContainer(): void {
  const isContainer =
    existsSync("/.dockerenv") ||
    existsSync("/run/.containerenv") ||
    process.env["KUBERNETES_SERVICE_HOST"] !== undefined ||
    process.env["container"] !== undefined;
  if (!isContainer)
    throw new UsageError(
      "--allow-code: expected a container (Docker, Podman, Kubernetes), since the model's code can do what you can; run it there, or leave such tasks out",
    );
}

function itemsPath(run: RunFolder, model: string, task: string): string {
  return run.benchmarkPath(model.replaceAll(/[^\w.-]+/g, "-"), task);
}

/** Runs what is not done of a model's tasks, and reads all of them. */
async function runModel(
  model: string,
  local: LocalModel,
  run: RunFolder,
  options: BenchmarkOptions,
): Promise<ReadonlyMap<string, Measured>> {
  const { tasks, include, limit, chat, batch, seed = defaultSeed, allowCode, signal, onProgress } = options;
  makeFolder(join(run.folder, "benchmarks"));
  const show = (doing: string, done = 0, total?: number) =>
    onProgress?.({ stage: "benchmark", doing: `${model}: ${doing}`, done, total, unit: "calls" });
  if (isSmollm2(model) && !existsSync(run.modelPath(model))) await makeSmollm2(signal, (phase) => show(phase));
  const identity = await identify(local, signal);
  const included = include === undefined ? null : hashTasks(include);
  const files = tasks.map(({ name, shots }) => {
    const items = itemsPath(run, model, name);
    const key = hash(
      "sha256",
      JSON.stringify([identity, name, shots ?? null, limit ?? null, chat ?? false, seed, included]),
    );
    return { name, shots: shots ?? null, items, key, result: items.replace(/jsonl$/, "json"), keyPath: `${items}.key` };
  });
  for (const { items, result, key, keyPath } of files) {
    if ((await readFile(keyPath, "utf8").catch(() => "")) === key && existsSync(items)) continue;
    rmSync(result, { force: true });
    await writeFile(keyPath, key);
  }
  const left = files.filter(({ result }) => !existsSync(result));
  if (left.length > 0) {
    const jobPath = join(run.folder, "benchmarks", `.${basename(itemsPath(run, model, "job"))}.json`);
    const job: HarnessJob = {
      model: local.path,
      base: local.adapter?.base ?? null,
      precision: local.precision,
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

/** Changes when the model does: its weights, or its commit on the Hub. */
async function identify({ path, isOnHub, adapter }: LocalModel, signal: AbortSignal | undefined): Promise<string> {
  if (isOnHub) return `${path} ${await hubCommit(path)}`;
  const sha = createHash("sha256");
  await hashModelFolder(path, sha, signal);
  return `${sha.digest("hex")} ${adapter?.base ?? ""}`;
}

/** Changes when a file of the folder does. */
function hashTasks(folder: string): string {
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
    const { task, item, promptHash, value } = read.data;
    prompts.set(`${task} ${item}`, promptHash);
    if (value !== null) values.set(`${task} ${item}`, value);
  }
  return { result, values, prompts };
}

function summariseModel(model: string, group: string, { result, values }: Measured, path: string): ModelBenchmark {
  const all = Float64Array.from(values.values());
  const prompts = Array.from(all, (_, i) => i);
  const isShare = all.every((value) => value >= 0 && value <= 1);
  const value = isShare
    ? crossedMean(all, { prompts }, { range: [0, 1] })
    : crossedRatio(all, new Uint8Array(all.length).fill(1), { prompts }, { tested: 0 });
  return { model, group, value: toEstimateRecord(value), harnessValue: result.value, items: all.length, path };
}

type Compared = Omit<BenchmarkDifference, "adjustedPValue" | "sentence">;

function compareGroups([first, ...others]: readonly ModelGroup[], of: (model: string) => Measured): Compared[] {
  return others.map((other): Compared => {
    const all = [...first!.models, ...other.models].map((model) => of(model).values);
    const keys = [...new Set(all.flatMap((values) => [...values.keys()]))];
    const valuesOf = ({ models }: ModelGroup) =>
      models.map((model) => Float64Array.from(keys, (key) => of(model).values.get(key) ?? NaN));
    const { difference, ...more } = itemDifference(valuesOf(first!), valuesOf(other));
    return {
      a: first!.group,
      b: other.group,
      ...more,
      difference: toEstimateRecord(difference),
      pValue: difference.pValue,
    };
  });
}

function conclude(
  task: string,
  { a, b, difference, trainings }: Compared,
  p: number,
  models: readonly ModelBenchmark[],
): string {
  const meanOf = (group: string) => {
    const values = models.filter((model) => model.group === group).map(({ value }) => value.value ?? NaN);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return mean >= 0 && mean <= 1 ? formatShare(mean) : mean.toFixed(4);
  };
  if (!(p < significance)) return `${task}: ${a} (${meanOf(a)}) and ${b} (${meanOf(b)}) cannot be told apart.`;
  const [more, less] = (difference.value ?? 0) > 0 ? [a, b] : [b, a];
  const scope =
    trainings > 1
      ? `, over ${trainings} trainings of each`
      : "; with one training of each, this is about these two models, not about how their rows were chosen";
  return `${task}: ${more} has ${meanOf(more)}, more than the ${meanOf(less)} of ${less}${scope}.`;
}

function describeItems(
  groups: readonly ModelGroup[],
  of: (model: string) => Measured,
  models: readonly ModelBenchmark[],
  { limit, chat }: BenchmarkOptions,
): string[] {
  const [first, ...others] = groups.flatMap((group) => group.models);
  const other = others.filter((model) =>
    [...of(first!).prompts].some(([key, prompt]) => (of(model).prompts.get(key) ?? prompt) !== prompt),
  );
  const few = models.find(({ items }) => items < fewItems);
  return [
    ...(limit === undefined
      ? []
      : [`only the first ${formatCount(limit)} items of each part: no published figure is comparable`]),
    ...(chat ? ["prompts are in the models' chat templates: published figures are mostly made without"] : []),
    ...(few
      ? [
          `only ${formatNumbered(few.items, "item", "items")}: with under ${fewItems}, the intervals are too narrow to be relied on`,
        ]
      : []),
    ...(other.length > 0
      ? [`${other.join(", ")}: prompts differ from those of ${first}, as chat templates do; the items are the same`]
      : []),
  ];
}
