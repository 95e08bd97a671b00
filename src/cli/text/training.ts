import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";
import { styleText } from "node:util";
import { formatCount, formatDuration, formatShare, formatUsd } from "../../format.ts";
import type { TrainSummary } from "../../run/records/training.ts";
import type { PlannedTraining } from "../../stages/prepare-training.ts";
import { plainText } from "./plain-text.ts";
import { renderWarnings } from "./rating.ts";

type Differences = PlannedTraining["plan"]["differences"];

/** What `train --dry-run` prints. */
export function renderTrainingPlan(planned: PlannedTraining): string {
  const { trainer, departures, model, arm, path, plan, base, estimate, tokens, checkpoints } = planned;
  const { recipe, settings, rows, steps, processes, nodes, gpus, deviceBatch, accumulation } = plan;
  const devices = gpus > 0 ? `${gpus} GPUs` : processes > 1 ? `${processes} processes on the CPU` : "the CPU";
  const machine = nodes > 1 ? `${devices} of ${nodes} machines` : devices;
  const lines = [
    `\n${styleText("bold", trainer === "trl" ? `Training ${plainText(model)}` : `A folder for ${trainer} to train ${plainText(model)}`)} on ${describeRows(rows, plan.heldOut, arm)}, by the recipe ${recipe.name} ${recipe.version} (${settings.method}${settings.sharding === "fsdp" ? ", FSDP" : ""})`,
    `  base    ${plainText(base)}`,
    ...renderDifferences(plan.differences),
    `  steps   ${settings.packing ? "at most " : ""}${formatCount(steps)}, each of ${settings.global_batch} ${settings.packing ? "sequences of packed rows" : "rows"} (${deviceBatch} at a time × ${accumulation} × ${machine}), ${settings.epochs} ${settings.epochs === 1 ? "epoch" : "epochs"}`,
    `  tokens  about ${formatCount(tokens.expected)} (of ${tokens.basis}), at most ${formatCount(tokens.highest)} (${formatCount(settings.max_length)} a row); counted when it is run`,
    `  memory  ${estimate.memoryGb === undefined ? "not known, since the base model's size is not known" : `about ${estimate.memoryGb.toFixed(1)} GB${gpus > 0 ? " a GPU" : ""}, a rule of thumb for ${formatCount(estimate.parameters!)} weights`}`,
    `  time    ${estimate.minutes === undefined ? "not known" : `about ${formatDuration(estimate.minutes * 60_000)}`} (${estimate.basis})`,
    `  money   ${estimate.usd === undefined ? "not known" : `about ${formatUsd(estimate.usd)}, at ${formatUsd(plan.usdPerHour!)} an hour`}`,
    ...(checkpoints.length > 0
      ? [`  an earlier attempt reached step ${formatCount(checkpoints.at(-1)!)}; training continues from there`]
      : []),
    ...(settings.global_batch > rows
      ? [
          `  a step would take ${settings.global_batch} rows, and there are only ${rows}: a smaller --global-batch makes more steps`,
        ]
      : []),
    ...(isAbsolute(base)
      ? [
          existsSync(base)
            ? "  the base model is a folder on this machine; another machine needs it too"
            : "  the base model is not made yet: alpagasus train without --dry-run makes it; another machine needs the folder too",
        ]
      : []),
    ...(settings.sharding === "fsdp" && gpus === 0 && processes > 1
      ? ["  on the CPU every process holds all weights: FSDP shards them on GPUs alone"]
      : []),
    ...departures.map((departure) => `  ${trainer}: ${departure}`),
    `\n  folder  ${plainText(path)}: ${isAbsolute(base) && !existsSync(base) ? "complete but for the base" : "complete"}; sh run.sh trains it there${trainer === "trl" ? "" : ` with ${trainer}`}, or on any machine with uv${nodes > 1 ? `; with ${nodes} machines: sbatch job.sbatch, kubectl create -f trainjob.yaml or sky launch sky.yaml` : ""}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** What `train` prints. */
export function renderTraining(summary: TrainSummary, models: Readonly<Record<string, TrainSummary>>): string {
  const { model, arm, rows, steps, recipe, trainMs, startMs, gpus, gpuHours, usd, usdPerHour, tokens, lossCurve } =
    summary;
  const full = models["full"];
  const lines = [
    `\n${styleText("bold", `Trained ${plainText(model)}`)} on ${describeRows(rows, summary.heldOut ?? 0, arm)}, by the recipe ${recipe} ${summary.recipeVersion} (${summary.method}), from ${plainText(summary.base)}`,
    ...renderDifferences(summary.differences),
    `  steps   ${formatCount(steps)}; loss ${lossCurve[0]?.loss.toFixed(3) ?? "-"} at first, ${summary.finalLoss?.toFixed(3) ?? "-"} at last`,
    ...(summary.heldOut === undefined
      ? []
      : [
          `  held out  loss ${summary.validationCurve?.[0]?.loss.toFixed(3) ?? "-"} when first measured, ${summary.validationLoss?.toFixed(3) ?? "-"} at the end`,
        ]),
    `  time    ${formatDuration(trainMs)}, ${formatDuration(startMs)} of it before the first step${gpus > 0 ? `, ${gpuHours.toFixed(2)} GPU hours` : " on the CPU"}${summary.attempts > 1 ? `, in ${summary.attempts} attempts` : ""}; ${summary.examplesPerSecond.toFixed(1)} rows and ${formatCount(summary.tokensPerSecond)} tokens a second (${formatCount(tokens)} in all)`,
    `  money   ${usd === null ? "no price per hour is known (--usd-per-hour)" : `${formatUsd(usd)}, at ${formatUsd(usdPerHour!)} an hour`}`,
    ...renderCuts(summary),
    ...(full && full.model !== model
      ? [
          `  against full  ${(full.trainMs / trainMs).toFixed(1)}× less time (${formatDuration(full.trainMs)} there), for ${formatShare(rows / full.rows)} of the rows`,
        ]
      : []),
    ...summary.checks.filter(({ held }) => held).map(({ name, message }) => `  checked ${name}: ${plainText(message)}`),
    ...renderWarnings([], summary.gates),
    `\n  model   ${plainText(summary.outputPath)}`,
    ...(summary.checkpoints ?? []).map(({ path }, i) => `  epoch ${i + 1}  ${plainText(path)}`),
  ];
  return `${lines.join("\n")}\n`;
}

function describeRows(rows: number, heldOut: number, arm: string): string {
  const trained = `the ${formatCount(rows)} rows of ${plainText(arm)}`;
  return heldOut === 0
    ? trained
    : `${formatCount(rows)} of the ${formatCount(rows + heldOut)} rows of ${plainText(arm)} (${formatCount(heldOut)} held out)`;
}

function renderDifferences(differences: Differences): string[] {
  if (differences.length === 0) return ["  all settings are the recipe's"];
  return differences.map(
    ({ setting, recipe, here }) =>
      `  differs from the recipe: ${setting} is ${plainText(here)}, not ${plainText(recipe)}`,
  );
}

function renderCuts({ cutRows, unlabelledRows, rows }: TrainSummary): string[] {
  const lines: string[] = [];
  if (cutRows.length > 0)
    lines.push(
      `  ${formatCount(cutRows.length)} of ${formatCount(rows)} rows were cut at the maximum length: ${listRows(cutRows)}`,
    );
  if (unlabelledRows.length > 0)
    lines.push(
      `  ${formatCount(unlabelledRows.length)} rows have no labels left after cutting and do not contribute to training: ${listRows(unlabelledRows)}`,
    );
  return lines;
}

function listRows(rows: readonly number[]): string {
  return `${rows.slice(0, 8).join(", ")}${rows.length > 8 ? ", …" : ""} (positions among the rows trained on, from 0)`;
}
