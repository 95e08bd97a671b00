import { existsSync } from "node:fs";
import { basename } from "node:path";
import * as z from "zod";
import { isOfRecipe } from "../../comparison/adjust.ts";
import { readVerdicts } from "../../comparison/verdicts-file.ts";
import { meanTraining, poolMatches } from "../../experiment/pool-matches.ts";
import type { ExperimentFacts } from "../../experiment/facts.ts";
import type { ExperimentRecipe } from "../../experiment/recipe.ts";
import type { ExperimentStage, Task } from "../../experiment/task.ts";
import { readWhole } from "../../files/read-file.ts";
import { tryParse } from "../../files/try-parse.ts";
import { latestFailures } from "../../run/judge-checks.ts";
import type { Manifest } from "../../run/manifest.ts";
import type { ComparisonSummary } from "../../run/records/comparison.ts";
import type { ExperimentResult } from "../../run/records/experiment.ts";
import type { RunFolder } from "../../run/run-folder.ts";
import { callsUsd } from "../../run/spent.ts";
import { mentionsScore } from "../../selection/sql-names.ts";
import type { Context } from "./context.ts";
import { evaluationName } from "./ids.ts";

/** Collects what an experiment's tasks left in the run: the figures that its result follows from. */
export async function gatherFacts(context: Context, tasks: readonly Task[]): Promise<ExperimentFacts> {
  const manifest = (await context.manifest())!;
  const { recipe, experiment } = context;
  const { name, caveat, source, arms: declared = {} } = recipe;
  return {
    name,
    caveat,
    source,
    arms: [...Object.keys(declared), ...Object.keys(recipe.models)].map((arm) => {
      const trainings = experiment.models
        .filter((model) => model.arm === arm)
        .flatMap((model) => manifest.models?.[model.name] ?? [])
        .map(({ seed, trainMs, usd, finalLoss, lossCurve }) => ({
          seed,
          minutes: trainMs / 60_000,
          usd: priceTraining(recipe, trainMs, usd),
          finalLoss,
          lossCurve,
        }));
      const draw = experiment.draws.find((one) => one.arm === arm);
      const alarms = draw ? alarmsOfChoice(manifest, draw.name) : [];
      return {
        arm,
        ...(alarms.length > 0 && { alarms }),
        rows: (draw && manifest.arms[draw.name]?.rows) ?? null,
        trainings,
        ...meanTraining(trainings),
      };
    }),
    ...(experiment.training && { trainings: experiment.training.declared.seeds.length }),
    matches: await gatherMatches(context, manifest),
    dropped: gatherDropped(context, manifest),
    losses: gatherLosses(context, manifest),
    benchmarks: gatherBenchmarks(context, manifest),
    contamination: await gatherContamination(context),
    money: await gatherMoney(context, manifest, tasks),
    methods: methodsOf(declared, ["score", ...Object.keys(manifest.scores ?? {})]),
  };
}

/** How each arm's rows were chosen: one that was drawn among rows that scores had chosen before is no control, unless the arm under test was, too. */
function methodsOf(
  declared: NonNullable<ExperimentRecipe["arms"]>,
  scores: readonly string[],
): ExperimentFacts["methods"] {
  const tested = Object.values(declared).find(({ method }) => method === "score");
  return Object.fromEntries(
    Object.entries(declared).map(([arm, { method, where }]) => {
      const isByScore =
        where !== undefined && where !== tested?.where && scores.some((score) => mentionsScore(where, score));
      return [arm, isByScore && method !== "score" ? `${method} by score` : method];
    }),
  );
}

/** Alarms of an arm's own, without those of its ratings, which are told once. */
function alarmsOfChoice({ arms, rate }: Pick<Manifest, "arms" | "rate">, arm: string): string[] {
  return (arms[arm]?.alarms ?? []).filter((alarm) => !rate?.alarms.includes(alarm));
}

const overlapSchema = z.array(z.object({ row: z.number(), arms: z.array(z.string()) }));

/** Rows that overlap test prompts, where the recipe lets arms keep them. */
async function gatherContamination({ recipe, run }: Context): Promise<ExperimentFacts["contamination"]> {
  if (recipe.contamination !== "note") return undefined;
  const text = await readWhole(run.contaminationPath, "utf8").catch(() => "");
  const found = overlapSchema.safeParse(tryParse(text)).data ?? [];
  return found.length > 0
    ? { rows: found.length, arms: [...new Set(found.flatMap(({ arms }) => arms))].toSorted() }
    : undefined;
}

/** The cost of a training: by the recipe's price an hour, which may have been added after it, else as it was counted. */
function priceTraining({ train }: ExperimentRecipe, trainMs: number, usd: number | null): number | null {
  return train?.usd_per_hour === undefined ? usd : (trainMs / 3_600_000) * train.usd_per_hour;
}

async function gatherMatches(context: Context, manifest: Manifest): Promise<ExperimentFacts["matches"]> {
  const { comparison } = context.experiment;
  const found = [];
  for (const judge of comparison?.judges ?? [])
    for (const { a, b, pairs } of comparison!.matches) {
      const played = [];
      const missing: string[] = [];
      for (const [ours, theirs] of pairs) {
        const names = [ours.name, theirs.name, judge.name] as const;
        const path = findVerdicts(manifest, context.run, names);
        const lack = path === undefined ? "there are no verdicts" : whyIncomplete(findComparison(manifest, names)!);
        if (lack !== undefined) missing.push(pairs.length > 1 ? `${ours.name} against ${theirs.name}: ${lack}` : lack);
        if (path !== undefined) played.push({ a: ours.name, b: theirs.name, verdicts: await readVerdicts(path) });
      }
      if (played.length === 0) continue;
      const failedChecks = await latestFailures(context.run, judge.name);
      found.push({
        ...poolMatches({ a, b, judge: judge.declared, missing: missing.join("; ") || undefined }, played),
        ...(failedChecks.length > 0 && { failedChecks }),
      });
    }
  return found;
}

/** Comparisons that the recipe made and does not have any more: they go on counting among those that were made. */
function gatherDropped({ experiment }: Context, { comparisons = {} }: Manifest): ExperimentFacts["dropped"] {
  const { judges = [], matches = [] } = experiment.comparison ?? {};
  const own = new Set(
    judges.flatMap((judge) =>
      matches.flatMap(({ pairs }) => pairs.map(([a, b]) => JSON.stringify([a.name, b.name, judge.name]))),
    ),
  );
  return Object.values(comparisons)
    .filter(({ a, b, judge }) => !own.has(JSON.stringify([a, b, judge])))
    .filter(isOfRecipe)
    .map(({ pooled, sets }) => ({ pooled, sets }));
}

type ComparedNames = readonly [a: string, b: string, judge: string];

function findComparison({ comparisons = {} }: Manifest, [a, b, judge]: ComparedNames): ComparisonSummary | undefined {
  return Object.values(comparisons).find(
    (other) => other.a === a && other.b === b && other.judge === judge && other.verdictsPath !== undefined,
  );
}

/** Why a comparison is not complete: a gate that did not hold, or what stopped it. Undefined when it is. */
function whyIncomplete({ gates, calls }: ComparisonSummary): string | undefined {
  const open = gates.filter(({ held }) => !held).map(({ message }) => message);
  if (open.length > 0) return open.join(", ");
  return calls?.stopped === undefined ? undefined : "its comparison was stopped";
}

/** Path of a comparison's verdicts in the run; undefined when there are none. */
export function findVerdicts(manifest: Manifest, run: RunFolder, names: ComparedNames): string | undefined {
  const comparison = findComparison(manifest, names);
  const path = comparison && run.verdictsPath(basename(comparison.verdictsPath!, ".jsonl"));
  return path !== undefined && existsSync(path) ? path : undefined;
}

function gatherLosses({ experiment }: Context, { losses }: Manifest): ExperimentResult["losses"] {
  const found = experiment.evaluation && losses?.[evaluationName];
  return found && { data: found.data, models: found.models, differences: found.differences };
}

function gatherBenchmarks({ experiment }: Context, { benchmarks = {} }: Manifest): ExperimentResult["benchmarks"] {
  return experiment.benchmarking?.tasks.flatMap(({ name }) => {
    const found = benchmarks[name];
    if (!found) return [];
    const { task, metric, harness, models, differences, notes } = found;
    return [{ task, metric, harness, models, differences, notes }];
  });
}

/** Cost of the replies and trainings behind each stage's figures; 0 without calls, null when a price is unknown. */
async function gatherMoney(
  { recipe, experiment, run }: Context,
  manifest: Manifest,
  tasks: readonly Task[],
): Promise<ExperimentResult["money"]> {
  const trainings = experiment.models
    .flatMap(({ name }) => manifest.models?.[name] ?? [])
    .map(({ trainMs, usd }) => priceTraining(recipe, trainMs, usd));
  const cost = (...stages: readonly ExperimentStage[]) =>
    callsUsd(run, callsOf(tasks.filter(({ stage }) => stages.includes(stage))));
  return {
    rating: await cost("rate", "embed"), // what rows are chosen by
    training: trainings.some((usd) => usd === null) ? null : trainings.reduce<number>((sum, usd) => sum + usd!, 0),
    generating: await cost("generate"),
    comparing: await cost("compare"),
  };
}

async function* callsOf(tasks: readonly Task[]): AsyncGenerator<string> {
  for (const { calls } of tasks) if (calls) yield* calls();
}
