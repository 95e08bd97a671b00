import { existsSync } from "node:fs";
import { RunError } from "../errors.ts";
import { readExperimentCommand } from "../experiment/ledger.ts";
import { adjustComparisons } from "../comparison/adjust.ts";
import { readContentStates } from "../run/file-states.ts";
import { tellExperiment, type Trust, weighComparison } from "../health/trust.ts";
import { agreementsOf, summariseAllLabels, withPeople } from "../page/people-labels.ts";
import { type Manifest, isRated } from "../run/manifest.ts";
import type { AnswersSummary } from "../run/records/answers.ts";
import type { ArmState, FileState } from "../run/records/arm.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";
import type { DatasetRecord } from "../run/records/dataset.ts";
import type { EmbeddingSummary } from "../run/records/embedding.ts";
import type { ExperimentResult } from "../run/records/experiment.ts";
import type { RateSummary } from "../run/records/rating.ts";
import type { TrainSummary } from "../run/records/training.ts";
import { type CheckedJudge, latestChecks } from "../run/judge-checks.ts";
import { spentOnCalls, type SpentOnCalls } from "../run/spent.ts";
import { defaultRunFolder, readManifest, runFlag, runFolder } from "../run/run-folder.ts";
import { listScores } from "../run/scores.ts";
import { commandHere, withoutOnly } from "../run/command-here.ts";
import { ended, nextOfUnrated, nextStep } from "./next-step.ts";

export interface RunStatus {
  readonly run: string;
  /** Absent when nothing was rated yet. */
  readonly dataset?: (DatasetRecord & { readonly state: FileState }) | undefined;
  readonly rate?: (RateSummary & { readonly path: string; readonly state: FileState }) | undefined;
  /** Which arms were compared, in a few figures each. */
  readonly comparisons: readonly (Pick<ComparisonSummary, "a" | "b" | "judge" | "verdictsPath"> &
    Pick<ComparisonSummary["pooled"], "counts" | "winningScore" | "conclusion"> & {
      readonly isFinished: boolean;
      readonly trust: Trust["answer"];
      /** Its gates that do not hold. */
      readonly failed: ComparisonSummary["gates"];
    })[];
  /** The latest check of each judge, where nothing is rated yet. */
  readonly checked?: readonly Pick<CheckedJudge, "judge" | "at" | "checks">[] | undefined;
  /** Calls in the store of a rating or comparison that is not finished, if there is one. */
  readonly begun?: SpentOnCalls | undefined;
  /** What all commands of the run have paid for calls; absent where none was made. */
  readonly spent?: SpentOnCalls | undefined;
  /** Further scores of the same rows. */
  readonly scores?:
    | readonly (Pick<RateSummary, "judge" | "coverage" | "mean" | "gates"> & {
        readonly name: string;
        readonly state: FileState;
      })[]
    | undefined;
  /** Vectors of the rows; stale where the rows were changed since. */
  readonly embeddings?:
    | readonly (Pick<EmbeddingSummary, "name" | "model" | "text" | "vectors"> & { readonly isStale: boolean })[]
    | undefined;
  readonly arms: readonly ArmState[];
  /** Losses on held-out answers, and what they say. */
  readonly benchmarks?:
    | readonly {
        readonly task: string;
        readonly models: readonly { readonly model: string; readonly value: number | null }[];
        readonly sentences: readonly string[];
      }[]
    | undefined;
  readonly losses?:
    | readonly {
        readonly name: string;
        readonly models: readonly { readonly model: string; readonly loss: number | null }[];
        readonly sentences: readonly string[];
      }[]
    | undefined;
  /** What was trained, in a few figures each. */
  readonly models: readonly Pick<TrainSummary, "model" | "arm" | "recipe" | "base" | "steps" | "finalLoss" | "gates">[];
  /** Which models have answered test prompts. */
  readonly answers: readonly Pick<AnswersSummary, "arm" | "model" | "sets" | "answersPath">[];
  /** The result of the experiment, if the run is one. */
  readonly experiment?: Pick<ExperimentResult, "name" | "sentence"> | undefined;
  /** What to do next, as a command. */
  readonly next: string;
}

/** The state of a run, from its files alone; nothing is computed again. @throws RunError when the manifest is damaged */
export async function status(folder: string): Promise<RunStatus> {
  const run = runFolder(folder);
  const manifest = await readManifest(run);
  if (folder !== defaultRunFolder && !existsSync(folder))
    throw new RunError(`${folder}: no such run; name its folder with --run`);
  const flag = runFlag(folder);
  const isEnded = manifest?.experiment?.matches.every(({ missing }) => missing === undefined) ?? false;
  const recorded = isEnded ? undefined : await readExperimentCommand(run);
  const experimentCommand =
    recorded && commandHere(withoutOnly(recorded.command), run, recorded.commandFolder, recorded.place);
  const people = await summariseAllLabels(run);
  const comparisons = adjustComparisons(Object.values(manifest?.comparisons ?? {})).map((comparison) => ({
    a: comparison.a,
    b: comparison.b,
    judge: comparison.judge,
    verdictsPath: comparison.verdictsPath,
    counts: comparison.pooled.counts,
    winningScore: comparison.pooled.winningScore,
    conclusion: comparison.pooled.conclusion,
    isFinished: comparison.calls?.stopped === undefined,
    trust: weighComparison(withPeople(people, comparison)).answer,
    failed: comparison.gates.filter(({ held }) => !held),
  }));
  const answers = Object.values(manifest?.answers ?? {}).map(({ arm, model, sets, answersPath }) => ({
    arm,
    model,
    sets,
    answersPath,
  }));
  const experiment = manifest?.experiment && {
    experiment: {
      name: manifest.experiment.name,
      sentence: tellExperiment(
        manifest.experiment,
        isRated(manifest) ? manifest.rate : undefined,
        agreementsOf(people),
      ),
    },
  };
  const losses = describeLosses(manifest);
  const benchmarks = describeBenchmarks(manifest);
  if (!isRated(manifest)) {
    const begun = await spentOnCalls(run, undefined);
    const isAnswered = answers.some(({ sets }) => sets.every(({ pending }) => pending === 0));
    const checked = comparisons.length === 0 && answers.length === 0 ? await latestChecks(run) : [];
    const isOpen = begun !== undefined && !isAnswered && comparisons.every(({ isFinished }) => !isFinished);
    const next = nextOfUnrated({ run, manifest, answers, comparisons, checked, isOpen }, flag);
    const isOver = manifest?.experiment !== undefined && !isOpen;
    return {
      run: folder,
      ...(isOpen && { begun }),
      ...(checked.length > 0 && { checked }),
      arms: [],
      losses,
      benchmarks,
      models: [],
      answers,
      comparisons,
      ...experiment,
      next: experimentCommand !== undefined ? experimentCommand : isOver ? ended(manifest.experiment!) : next,
    };
  }
  const states = await readContentStates(folder, manifest);
  const spent = await spentOnCalls(run, manifest);
  return {
    run: folder,
    spent,
    dataset: { ...manifest.dataset, state: states.dataset },
    rate: { ...manifest.rate, path: run.ratingsPath, state: states.ratings },
    embeddings: Object.values(manifest.embeddings ?? {}).map(({ name, model, text, vectors, datasetHash }) => ({
      name,
      model,
      text,
      vectors,
      isStale: datasetHash !== manifest.dataset.hash,
    })),
    scores: listScores(manifest, run).map(({ name, base, summary, figures }) => ({
      name,
      state: states.scores.get(base) ?? states.ratings,
      judge: summary.judge,
      coverage:
        figures.rows === undefined ? summary.coverage : figures.rows / rowsOf(summary.shard, manifest.dataset.rows),
      mean: figures.mean,
      gates: name === base ? summary.gates : [], // told once, not for each mark
    })),
    arms: states.arms,
    losses,
    benchmarks,
    models: Object.values(manifest.models ?? {}).map(({ model, arm, recipe, base, steps, finalLoss, gates }) => ({
      model,
      arm,
      recipe,
      base,
      steps,
      finalLoss,
      gates,
    })),
    answers,
    comparisons,
    ...experiment,
    next: experimentCommand ?? nextStep(run, manifest, states, flag),
  };
}

/** How many rows a shard has; all where there is none. */
function rowsOf(shard: RateSummary["shard"], rows: number): number {
  return shard ? Math.ceil((rows - shard.index + 1) / shard.of) : rows;
}

function describeBenchmarks(manifest: Manifest | undefined): RunStatus["benchmarks"] {
  return Object.values(manifest?.benchmarks ?? {}).map(({ task, models, differences }) => ({
    task,
    models: models.map(({ model, value }) => ({ model, value: value.value })),
    sentences: differences.map(({ sentence }) => sentence),
  }));
}

function describeLosses(manifest: Manifest | undefined): RunStatus["losses"] {
  return Object.values(manifest?.losses ?? {}).map(({ name, models, differences }) => ({
    name,
    models: models.map(({ model, loss }) => ({ model, loss: loss.value })),
    sentences: differences.map(({ sentence }) => sentence),
  }));
}
