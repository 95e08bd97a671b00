import { formatUsd } from "../format.ts";
import type { AnswersSummary } from "../run/records/answers.ts";
import type { ArmSummary } from "../run/records/arm.ts";
import type { CallsRecord, Gate, Question } from "../run/records/common.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";
import { commandHere } from "../run/command-here.ts";
import type { Manifest } from "../run/manifest.ts";
import type { RunFolder } from "../run/run-folder.ts";
import type { TrainSummary } from "../run/records/training.ts";
import type { StageReport } from "./contract.ts";

/**
 * The run's stages in the order they started: the provenance of every figure. Their commands are as they were typed, or, where they were typed
 * in several folders, as they are to be typed here.
 */
export function describeStages(manifest: Manifest, run: RunFolder): StageReport[] {
  const stages = listStages(manifest);
  const origins = new Set(stages.flatMap(({ command, commandFolder }) => (command === undefined ? [] : commandFolder)));
  const isMoved = origins.size > 1;
  return stages
    .map(({ commandFolder, ...stage }) => ({
      ...stage,
      ...(isMoved && stage.command !== undefined && { command: commandHere(stage.command, run, commandFolder) }),
    }))
    .toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : a.startedAt > b.startedAt ? 1 : 0));
}

type Typed = StageReport & Pick<Task, "commandFolder">;

function listStages({
  dataset,
  rate,
  arms,
  scores = {},
  models = {},
  answers = {},
  embeddings = {},
  losses = {},
  benchmarks = {},
  comparisons = {},
}: Manifest): Typed[] {
  return [
    ...(dataset && rate
      ? [
          {
            ...describeStage("rate", dataset.source, rate),
            details: [
              ["judge", rate.judge],
              ...questionDetails(rate.question),
              ["dataset hash", dataset.hash],
              ["ratings hash", rate.ratingsHash],
            ] as const,
          },
        ]
      : []),
    ...Object.entries(scores).map(([name, score]) => ({
      ...describeStage("rate", name, score),
      details: [
        ["judge", score.judge],
        ...questionDetails(score.question),
        ["hash of the scores", score.ratingsHash],
      ] as const,
    })),
    ...Object.values(embeddings).map((embedding) => ({
      ...describeStage("embed", embedding.name, embedding),
      details: [
        ["model", embedding.model],
        ["text", embedding.text],
        ["values of a vector", String(embedding.dimensions)],
        ["hash of the vectors", embedding.vectors.sha256],
        ...Object.values(embedding.targets).map(({ source, sha256 }) => [`vectors of ${source}`, sha256] as const),
      ] as const,
    })),
    ...Object.values(arms).map((arm) => ({ ...describeStage("select", arm.arm, arm), details: describeArm(arm) })),
    ...Object.values(models).map((model) => ({
      ...describeStage("train", model.model, model),
      details: describeModel(model),
    })),
    ...Object.values(answers).map((own) => ({
      ...describeStage("generate", own.arm, own),
      details: describeAnswers(own),
    })),
    ...Object.values(losses).map((loss) => ({
      ...describeStage("evaluate", loss.name, loss),
      details: [
        ["held-out rows", loss.data],
        ["models", loss.models.map(({ model }) => model).join(", ")],
        ["hash of the losses", loss.lossesHash],
      ] as const,
    })),
    ...Object.values(benchmarks).map((benchmark) => ({
      ...describeStage("benchmark", benchmark.task, benchmark),
      details: [
        ["harness", `lm-evaluation-harness ${benchmark.harness}`],
        ["models", benchmark.models.map(({ model }) => model).join(", ")],
        ["hash of the items", benchmark.itemsHash],
      ] as const,
    })),
    ...Object.values(comparisons).map((comparison) => ({
      ...describeStage("compare", `${comparison.a} against ${comparison.b}`, comparison),
      details: describeComparison(comparison),
    })),
  ];
}

interface Task {
  readonly startedAt: string;
  readonly wallMs: number;
  readonly command?: string | undefined;
  readonly commandFolder?: string | undefined;
  readonly calls?: CallsRecord | undefined;
  readonly gates: readonly Gate[];
}

function describeStage(
  stage: StageReport["stage"],
  name: string,
  { startedAt, wallMs, command, commandFolder, calls, gates }: Task,
): Omit<Typed, "details"> {
  return {
    stage,
    name,
    startedAt,
    wallMs,
    command,
    commandFolder,
    ...(calls && {
      paidUsd: calls.paidUsd,
      perhapsPaidUsd: calls.perhapsPaidUsd,
      calls: { made: calls.made, stored: calls.stored, failed: calls.failed },
      tokens: { input: calls.inputTokens, output: calls.outputTokens },
    }),
    gates,
    coverage: gates.find(({ name: gate }) => gate === "coverage")?.message ?? "",
  };
}

type Details = StageReport["details"];

function questionDetails(question: Question | undefined): Details {
  if (!question) return [];
  return [
    ...(question.rubric === undefined ? [] : ([["rubric", `${question.rubric} ${question.rubricVersion}`]] as const)),
    ["maximum tokens of a reply", String(question.maxOutputTokens)],
    ...(question.temperature === undefined ? [] : ([["temperature", String(question.temperature)]] as const)),
    ...(question.reasoning === undefined ? [] : ([["reasoning", question.reasoning]] as const)),
    ["question hash", question.hash],
  ];
}

function describeArm({ choice, seed, path, ratingsHash }: ArmSummary): Details {
  return [
    ["choice", choice],
    ["seed", String(seed)],
    ["file", path],
    ["ratings hash", ratingsHash],
  ];
}

function describeModel(model: TrainSummary): Details {
  const { recipe, recipeVersion, base, arm, seed, differences, steps, finalLoss, gpuHours, usd, hash } = model;
  return [
    ["recipe", `${recipe} ${recipeVersion}`],
    ["base", base],
    ["arm", arm],
    ["seed", String(seed)],
    ...differences.map(({ setting, here, recipe: theirs }) => [setting, `${here}, not ${theirs}`] as const),
    ["steps", String(steps)],
    ["final loss", finalLoss === null ? "not known" : finalLoss.toFixed(4)],
    ["GPU hours", gpuHours.toFixed(3)],
    ["training cost", usd === null ? "no price is known" : formatUsd(usd)],
    ["hash of settings and rows", hash],
  ];
}

function describeAnswers({
  model,
  template,
  server,
  question,
  sets,
  answersPath,
  answersHash,
}: AnswersSummary): Details {
  return [
    ["model", model],
    ["prompts", sets.map(({ set, prompts }) => `${set} ${prompts}`).join(", ")],
    ["template", template],
    ...(server
      ? ([
          ["server", server.description],
          ["prompt parity", server.parity],
        ] as const)
      : []),
    ...questionDetails(question),
    ["answers cut at the limit", String(sets.reduce((sum, { cut }) => sum + cut, 0))],
    ["file", answersPath],
    ["answers hash", answersHash],
  ];
}

function describeComparison({ judge, question, seed, answersHash, verdictsHash }: ComparisonSummary): Details {
  return [
    ["judge", judge],
    ...questionDetails(question),
    ["bootstrap seed", String(seed)],
    ...(answersHash === undefined ? [] : ([["answers hash", answersHash]] as const)),
    ...(verdictsHash === undefined ? [] : ([["verdicts hash", verdictsHash]] as const)),
  ];
}
