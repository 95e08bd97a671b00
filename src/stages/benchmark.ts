import { hash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { UsageError } from "../errors.ts";
import { isServed } from "../benchmark/served-model.ts";
import { formatApart, formatCount, formatNumbered } from "../format.ts";
import { toEstimateRecord } from "../run/estimate-record.ts";
import type { BenchmarkDifference, BenchmarkSummary, ModelBenchmark } from "../run/records/benchmarks.ts";
import { extendManifest, readManifest, runFolder } from "../run/run-folder.ts";
import { crossedMean, crossedRatio } from "../stats/crossed-mean.ts";
import { itemDifference } from "../stats/item-difference.ts";
import { holm } from "../stats/many-comparisons.ts";
import { exactShare } from "../stats/proportion.ts";
import { findModel, runModel, type BenchmarkedModel, type Measured, type RunModelOptions } from "./benchmark-model.ts";
import { groupOf, pairTrainings, type ModelGroup } from "./model-groups.ts";

export interface BenchmarkOptions extends RunModelOptions {
  /** The run's folder. */
  readonly run: string;
  /** Models as `generate` names them, or groups of trainings of one arm. The first is compared with every other. */
  readonly models: readonly (string | ModelGroup)[];
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
  const found = new Map<string, BenchmarkedModel>();
  for (const model of groups.flatMap(({ models }) => models))
    found.set(model, await findModel(model, run, options.tokenizer));
  if (options.tokenizer !== undefined && ![...found.values()].some(({ kind }) => kind === "served"))
    throw new UsageError("--tokenizer: is for models behind servers; the others bring their own, so leave it out");
  const measured = new Map<string, ReadonlyMap<string, Measured>>();
  for (const [model, one] of found) measured.set(model, await runModel(model, one, run, options));
  const compared = options.tasks.map(({ name }) => compareGroups(groups, (model) => measured.get(model)!.get(name)!));
  const adjusted = holm(compared.flat().map(({ pValue }) => pValue));
  let next = 0;
  const summaries = options.tasks.map(({ name }, i): BenchmarkSummary => {
    const of = (model: string) => measured.get(model)!.get(name)!;
    const models = groups.flatMap(({ group, models: members }) =>
      members.map((model) => summariseModel(model, group, of(model))),
    );
    const { harness, tasks } = of(groups[0]!.models[0]!).result;
    const isHigherBetter = Object.values(tasks).every(({ higherIsBetter }) => higherIsBetter);
    const differences = compared[i]!.map((difference): BenchmarkDifference => {
      const adjustedPValue = adjusted[next++]!;
      return { ...difference, adjustedPValue, sentence: conclude(name, difference, adjustedPValue, isHigherBetter) };
    });
    const parts = Object.entries(tasks).map(([task, { metric, filter, version, shots = null, items }]) => {
      return { task, metric, filter, version, shots, items };
    });
    const metrics = [...new Set(parts.map(({ metric }) => metric))];
    return {
      task: name,
      harness,
      metric: metrics.join(", "),
      higherIsBetter: isHigherBetter,
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

function summariseModel(model: string, group: string, { path, result, values }: Measured): ModelBenchmark {
  const all = Float64Array.from(values.values());
  const prompts = Array.from(all, (_, i) => i);
  const value = all.every((one) => one === 0 || one === 1)
    ? exactShare(
        all.reduce((sum, one) => sum + one, 0),
        all.length,
      )
    : all.every((one) => one >= 0 && one <= 1)
      ? crossedMean(all, { prompts }, { range: [0, 1] })
      : crossedRatio(all, new Uint8Array(all.length).fill(1), { prompts }, { tested: 0 });
  return { model, group, value: toEstimateRecord(value), harnessValue: result.value, items: all.length, path };
}

function nullable(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

type Compared = Omit<BenchmarkDifference, "adjustedPValue" | "sentence"> & { readonly trainings: number };

function compareGroups([first, ...others]: readonly ModelGroup[], of: (model: string) => Measured): Compared[] {
  return others.map((other): Compared => {
    const all = [...first!.models, ...other.models].map((model) => of(model).values);
    const keys = [...new Set(all.flatMap((values) => [...values.keys()]))];
    const [ours, theirs] = pairTrainings(first!, other).map((models) =>
      models.map((model) => Float64Array.from(keys, (key) => of(model).values.get(key) ?? NaN)),
    );
    const { difference, means, ...more } = itemDifference(ours!, theirs!);
    return {
      a: first!.group,
      b: other.group,
      ...more,
      means: [nullable(means[0]), nullable(means[1])],
      difference: toEstimateRecord(difference),
      pValue: difference.pValue,
    };
  });
}

function conclude(
  task: string,
  { a, b, means, trainings, items }: Compared,
  p: number,
  isHigherBetter: boolean,
): string {
  if (items === 0) return `${task}: ${a} and ${b} have no items in common, so nothing is compared.`;
  const [own, other] = means;
  const [ours, theirs] = own === null || other === null ? ["-", "-"] : formatApart(own, other);
  if (!(p < significance)) return `${task}: ${a} (${ours}) and ${b} (${theirs}) cannot be told apart.`;
  const [more, less] =
    (means[0] ?? 0) > (means[1] ?? 0)
      ? [`${a} has ${ours}`, `${theirs} of ${b}`]
      : [`${b} has ${theirs}`, `${ours} of ${a}`];
  const scope =
    trainings > 1
      ? `, over ${trainings} trainings of each`
      : "; with one training of each, this is about these two models, not about how their rows were chosen";
  return `${task}: ${more}, more than the ${less}${isHigherBetter ? "" : " (less is better)"}${scope}.`;
}

function describeItems(
  groups: readonly ModelGroup[],
  of: (model: string) => Measured,
  models: readonly ModelBenchmark[],
  { limit, chat }: BenchmarkOptions,
): string[] {
  const [first, ...others] = groups.flatMap((group) => group.models);
  const shared = (model: string) => [...of(first!).prompts].filter(([key]) => of(model).prompts.has(key));
  const otherItems = others.filter(
    (model) => shared(model).length < Math.max(of(first!).prompts.size, of(model).prompts.size),
  );
  const otherPrompts = others.filter((model) =>
    shared(model).some(([key, prompt]) => of(model).prompts.get(key) !== prompt),
  );
  const harnesses = new Set(groups.flatMap((group) => group.models.map((model) => of(model).result.harness)));
  const left = groups.slice(1).flatMap((group) => {
    const [ours, theirs] = pairTrainings(groups[0]!, group);
    return [
      ...groups[0]!.models.filter((model) => !ours.includes(model)),
      ...group.models.filter((model) => !theirs.includes(model)),
    ];
  });
  const few = models.find(({ items }) => items < fewItems);
  return [
    ...(limit === undefined
      ? []
      : [`only the first ${formatCount(limit)} items of each part: no published figure is comparable`]),
    ...(chat ? ["prompts are in the models' chat templates: published figures are mostly made without"] : []),
    ...(first !== undefined && [first, ...others].some(isServed)
      ? ["a served model is known by its address and name: after its weights have changed there, ask for another name"]
      : []),
    ...(few ? [`only ${formatNumbered(few.items, "item", "items")}: so few can show large differences alone`] : []),
    ...(otherItems.length > 0
      ? [
          `${otherItems.join(", ")}: not all items are those of ${first}; only the same ones are compared. Has the task's data changed in between?`,
        ]
      : []),
    ...(otherPrompts.length > 0
      ? [
          `${otherPrompts.join(", ")}: prompts differ from those of ${first}${chat ? ", as chat templates do" : ", so figures differ by more than the models"}; the items are the same`,
        ]
      : []),
    ...(harnesses.size > 1 ? [`figures are of several versions of the harness: ${[...harnesses].join(", ")}`] : []),
    ...(left.length > 0
      ? [
          `${[...new Set(left)].join(", ")}: no training of the other arm has the same seed, so it has no part in the comparison`,
        ]
      : []),
  ];
}
