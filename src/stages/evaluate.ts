import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { Dataset } from "../dataset/dataset.ts";
import { reopenDataset } from "../dataset/reopen.ts";
import { UsageError } from "../errors.ts";
import { writeJsonLines } from "../files/json-lines.ts";
import { makeFolder } from "../files/make-folder.ts";
import { formatCount, formatNumbered, formatShare } from "../format.ts";
import { findLocalModel, type LocalModel } from "../generation/local-model.ts";
import { defaultMaxLength, openMeasurer } from "../likelihood/measure.ts";
import type { MeasureTemplate } from "../likelihood/measure-name.ts";
import { templateFile, toParts } from "../likelihood/row-parts.ts";
import { isSmollm2 } from "../python/smollm2.ts";
import { toEstimateRecord } from "../run/estimate-record.ts";
import type { Manifest } from "../run/manifest.ts";
import { expectName } from "../run/name.ts";
import type { LossDifference, LossSummary, ModelLoss } from "../run/records/losses.ts";
import { extendManifest, readManifest, runFolder, type RunFolder } from "../run/run-folder.ts";
import { crossedRatio } from "../stats/crossed-mean.ts";
import { lossDifference } from "../stats/loss-difference.ts";
import { holm } from "../stats/many-comparisons.ts";
import { readHeldOut, type HeldOut } from "./held-out.ts";
import { groupOf, pairTrainings, type ModelGroup } from "./model-groups.ts";
import type { StageOptions } from "./progress.ts";

export interface EvaluateOptions extends StageOptions {
  /** The run's folder. */
  readonly run: string;
  /** Models as `generate` names them, or groups of trainings of one arm. The first is compared with every other. */
  readonly models: readonly (string | ModelGroup)[];
  /** A name for the results; the data's by default. */
  readonly name?: string | undefined;
  /** How prompts are written; as each model was trained by default, else by its chat template. */
  readonly template?: MeasureTemplate | undefined;
  /** The most tokens of a row (2,048, or the model's own limit). */
  readonly maxLength?: number | undefined;
}

const longest = 2 * defaultMaxLength;
const blockRows = 256;
const fewItems = 100; // prompts: with fewer, an interval by the normal distribution is too narrow where losses are skewed

/**
 * Measures each model's loss on the answers of a dataset that no model was trained on, and compares models item by item. Rows whose prompt
 * is in the data that the run rated are left out.
 *
 * @throws UsageError when a model is not found, or no row is left
 */
export async function evaluateLoss(dataset: Dataset, options: EvaluateOptions): Promise<LossSummary> {
  const startedAt = new Date();
  const run = runFolder(options.run);
  const name = options.name ?? [nameOf(dataset), ...(options.template ? [options.template] : [])].join("-");
  expectName("--name", name);
  const manifest = await readManifest(run);
  const groups = options.models.map((one) => (typeof one === "string" ? groupOf(one, manifest) : one));
  const twice = groups.find(({ group }, i) => groups.findIndex((other) => other.group === group) < i);
  if (groups.length === 0 || twice)
    throw new UsageError(`--models: expected each model once, got ${twice ? `${twice.group} again` : "none"}`);
  const found = new Map<string, LocalModel>();
  for (const model of groups.flatMap(({ models }) => models)) found.set(model, await findModel(model, run));
  const rated = manifest?.dataset;
  const trained = rated && (await reopenDataset(rated, run, options.signal));
  const heldOut = await readHeldOut(dataset, trained && { ...trained, source: rated.source }, options);
  const losses = new Map<string, Float64Array>();
  const models: ModelLoss[] = [];
  const identity = createHash("sha256");
  for (const { group, models: members } of groups)
    for (const model of members) {
      const { values, summary, sha } = await measureModel(
        found.get(model)!,
        { group, model, name },
        heldOut,
        run,
        options,
      );
      losses.set(model, values);
      models.push(summary);
      identity.update(sha);
    }
  const [first, ...others] = groups;
  const differences = compareGroups(first!, others, losses, heldOut.promptOf);
  const summary: LossSummary = {
    name,
    data: dataset.source,
    rows: heldOut.rows,
    trainedOn: heldOut.trainedOn,
    models,
    differences,
    notes: describeItems(heldOut, manifest, models, options),
    gates: [],
    lossesHash: identity.digest("hex"),
    command: options.command,
    startedAt: startedAt.toISOString(),
    wallMs: Date.now() - startedAt.getTime(),
  };
  await extendManifest(run, (latest) => ({ losses: { ...latest?.losses, [name]: summary } }));
  return summary;
}

function nameOf({ source }: Dataset): string {
  return basename(source)
    .replace(/(\.(jsonl?|csv|tsv|parquet|arrow|gz|zst))+$/i, "")
    .replaceAll(/[^\w-]+/g, "-");
}

async function findModel(model: string, run: RunFolder): Promise<LocalModel> {
  try {
    return await findLocalModel(model, run);
  } catch (cause) {
    if (!(cause instanceof UsageError) || !cause.message.startsWith("--model:")) throw cause;
    throw new UsageError(
      `--models: expected models that ${run.folder} has trained, folders with a model, Hub ids (owner/name) or smollm2, got ${JSON.stringify(model)}`,
      { cause },
    );
  }
}

async function measureModel(
  { path, template: trained }: LocalModel,
  { group, model, name }: { readonly group: string; readonly model: string; readonly name: string },
  { items, promptOf }: HeldOut,
  run: RunFolder,
  { template = trained ?? "chat", maxLength = longest, signal, onProgress }: EvaluateOptions,
): Promise<{ readonly values: Float64Array; readonly summary: ModelLoss; readonly sha: string }> {
  let done = 0;
  const show = (phase?: string) =>
    onProgress?.({
      stage: "evaluate",
      doing: phase === undefined ? `measuring ${model}` : `${model}: ${phase}`,
      done,
      total: items.length,
      unit: "rows",
    });
  show("loading it");
  await using measurer = await openMeasurer({
    model: isSmollm2(model) ? model : path,
    option: "--models",
    parts: ["answer"],
    maxLength,
    chatTemplate: templateFile(template),
    signal,
    onPhase: show,
  });
  const values = new Float64Array(items.length).fill(NaN);
  const lines: object[] = [];
  let tokens = 0;
  let cut = 0;
  const problems: string[] = [];
  for (let start = 0; start < items.length; start += blockRows) {
    const block = items.slice(start, start + blockRows);
    const measured = await measurer.measure(
      block.map((example) => toParts(example, template)),
      (count) => {
        done += count;
        show();
      },
    );
    for (const [i, one] of measured.entries()) {
      const { index, id } = block[i]!;
      if ("problem" in one) {
        problems.push(one.problem);
        lines.push({ index, id, problem: one.problem });
        continue;
      }
      const { answer, isCut } = one.likelihood;
      if (isCut) cut++;
      if (answer && answer.tokens > 0) {
        values[start + i] = answer.nll / answer.tokens;
        tokens += answer.tokens;
      }
      lines.push({ index, id, nll: answer?.nll, tokens: answer?.tokens ?? 0, ...(isCut && { cut: true }) });
    }
  }
  const kept = values.filter((value) => !Number.isNaN(value));
  const prompts = promptOf.filter((_, i) => !Number.isNaN(values[i]));
  const loss = crossedRatio(kept, new Uint8Array(kept.length).fill(1), { prompts }, { tested: 0 });
  const lossesPath = run.lossesPath(name, model.replaceAll(/[^\w.-]+/g, "-"));
  makeFolder(`${run.folder}/losses`);
  const sha = await writeJsonLines(lossesPath, lines);
  return {
    values,
    sha,
    summary: {
      model,
      group,
      template,
      loss: toEstimateRecord({ ...loss, low: Math.max(0, loss.low) }), // no loss is below 0
      items: kept.length,
      tokens,
      cut,
      failed: items.length - kept.length,
      problem: problems[0],
      path: lossesPath,
    },
  };
}

function compareGroups(
  first: ModelGroup,
  others: readonly ModelGroup[],
  losses: ReadonlyMap<string, Float64Array>,
  promptOf: ArrayLike<number>,
): LossDifference[] {
  const compared = others.map((other) => {
    const [ours, theirs] = pairTrainings(first, other).map((models) => models.map((model) => losses.get(model)!));
    return { other, ...lossDifference(ours!, theirs!, promptOf) };
  });
  const adjusted = holm(compared.map(({ difference }) => difference.pValue));
  return compared.map(({ other, items, trainings, difference }, i) => ({
    a: first.group,
    b: other.group,
    items,
    trainings,
    difference: toEstimateRecord(difference),
    pValue: difference.pValue,
    adjustedPValue: adjusted[i]!,
    sentence: conclude(first.group, other.group, difference.value, adjusted[i]!, trainings),
  }));
}

const significance = 0.05;

function conclude(a: string, b: string, difference: number, p: number, trainings: number): string {
  if (!(p < significance)) return `The losses of ${a} and ${b} cannot be told apart on these answers.`;
  const [lower, higher] = difference > 0 ? [a, b] : [b, a];
  const scope =
    trainings > 1
      ? `, over ${trainings} trainings of each`
      : "; with one training of each, this is about these two models, not about how their rows were chosen";
  return `${lower} finds these answers likelier than ${higher} does${scope}.`;
}

function describeItems(
  { promptOf, trainedOn }: HeldOut,
  manifest: Manifest | undefined,
  models: readonly ModelLoss[],
  { maxLength = longest }: EvaluateOptions,
): string[] {
  const cut = models.filter((model) => model.cut > 0);
  const prompts = new Set(promptOf).size;
  return [
    "a loss is how unlikely a model finds the reference answers, not how good its own answers are: it favours models that write in the reference's style",
    ...(trainedOn > 0
      ? [`${formatNumbered(trainedOn, "row", "rows")} left out, whose prompt is in ${manifest!.dataset!.source}`]
      : []),
    ...(manifest?.dataset
      ? []
      : ["whether models were trained on these prompts is not known: this run has rated no data"]),
    ...(prompts < fewItems
      ? [
          `only ${formatNumbered(prompts, "prompt", "prompts")}: with under ${fewItems}, the intervals may be too narrow`,
        ]
      : []),
    ...models
      .filter(({ failed }) => failed > 0)
      .map(
        ({ model, failed, problem }) =>
          `${model}: ${formatNumbered(failed, "answer has", "answers have")} no loss, and no part in any comparison${problem === undefined ? "" : `: ${problem}`}`,
      ),
    ...cut.map(
      (model) =>
        `${model.model}: ${formatCount(model.cut)} answers (${formatShare(model.cut / Math.max(1, model.items))}) are longer than ${formatCount(maxLength)} tokens with their prompt; what is beyond is not counted`,
    ),
  ];
}
