import { existsSync } from "node:fs";
import { basename } from "node:path";
import { stringify } from "yaml";
import { formatCount, formatMetric, formatNumbered, formatScore, formatShare, formatShareDown } from "../format.ts";
import { isSmollm2, smollm2Id } from "../python/smollm2.ts";
import type { ArmSummary } from "../run/records/arm.ts";
import type { TrainSummary } from "../run/records/training.ts";
import { version } from "../version.ts";
import type { RunReport } from "./contract.ts";
import { listFigures, type Figure } from "./figures.ts";

/*
 * Cards for the Hub, from a run's figures: how rows were chosen, by whom they were judged, and what was found. Paths and addresses of the
 * user's machines are left out.
 */

/** Begins every card, so that `push` replaces no other. */
const cardMark = "<!-- card by alpagasus push -->";

/** Settings of TRL that a model's card shows. */
const settingNames = [
  "num_train_epochs",
  "learning_rate",
  "lr_scheduler_type",
  "warmup_ratio",
  "warmup_steps",
  "weight_decay",
  "max_length",
  "bf16",
  "lora_r",
  "lora_alpha",
  "packing",
];

export function isOwnCard(text: string): boolean {
  return text.includes(cardMark);
}

export interface CardOptions {
  readonly repo: string;
  readonly licence: string;
  readonly report: RunReport;
  readonly arm: ArmSummary;
  /** The models that were trained on it. */
  readonly models: readonly string[];
}

/** The card of an arm as a dataset. @param files the data files, by their names in the repository */
export function renderDatasetCard(
  { repo, licence, report, arm, models }: CardOptions,
  files: { readonly data: string; readonly decisions: string },
): string {
  const sources = sourcesOf(report);
  const front = {
    license: licence,
    pretty_name: repo.split("/")[1],
    tags: ["alpagasus", "instruction-tuning", "data-selection"],
    size_categories: [sizeCategory(arm.rows)],
    ...(sources.onHub.length > 0 && { source_datasets: sources.onHub }),
    configs: [{ config_name: "default", data_files: files.data }],
  };
  const texts = [
    `# ${repo.split("/")[1]}`,
    cardMark,
    `${formatCount(arm.rows)} of the ${formatCount(arm.totalRows)} rows of ${sources.text} (${formatShare(arm.share)}), chosen with alpagasus ${version}. Each row is as the source has it.`,
    "## How the rows were chosen",
    list([
      `The choice: ${publicText(arm.choice)}.`,
      ...(arm.by === undefined ? [] : [`By: \`${arm.by}\`.`]),
      ...judgeLines(report),
      `Seed: ${arm.seed}.`,
      `What became of every row of the source is in \`${files.decisions}\`: ${Object.entries(arm.reasons)
        .map(([reason, rows]) => `${formatCount(rows)} ${reason}`)
        .join(", ")}.`,
      ...arm.notes.map((note) => sentence(publicText(note))),
      ...arm.alarms.map((alarm) => `**Mind**: ${sentence(publicText(alarm))}`),
    ]),
    ...foundPart(report, figuresOf(report, [arm.arm, ...models])),
    "## Licence",
    `\`${licence}\`. The rows come from ${sources.text}; its terms hold for them.`,
  ];
  return `---\n${stringify(front)}---\n\n${texts.join("\n\n")}\n`;
}

/** The card of a trained model. */
export function renderModelCard(
  { repo, licence, report, arm }: CardOptions,
  model: TrainSummary,
  settings: Readonly<Record<string, unknown>>,
): string {
  const sources = sourcesOf(report);
  const base = isSmollm2(model.base)
    ? smollm2Id
    : /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(model.base) && !existsSync(model.base)
      ? model.base
      : undefined;
  const front = {
    license: licence,
    library_name: model.method === "full" ? "transformers" : "peft",
    pipeline_tag: "text-generation",
    ...(base !== undefined && { base_model: base }),
    ...(sources.onHub.length > 0 && { datasets: sources.onHub }),
    tags: ["alpagasus", "trl", "sft"],
  };
  const shown = settingNames.filter((name) => settings[name] !== undefined);
  const texts = [
    `# ${repo.split("/")[1]}`,
    cardMark,
    `${base ?? basename(model.base)}, fine-tuned (${model.method}) on ${formatCount(model.rows)} rows that were chosen from the ${formatCount(arm.totalRows)} of ${sources.text} with alpagasus ${version}.`,
    "## Its data",
    list([
      `The choice: ${publicText(arm.choice)}.`,
      ...judgeLines(report),
      ...(model.cutRows.length > 0
        ? [`${formatNumbered(model.cutRows.length, "row was", "rows were")} cut at the maximum length.`]
        : []),
    ]),
    "## Its training",
    list([
      `Prompt template: \`${model.template}\`, which is saved with the model. Loss on the answer alone.`,
      `${formatCount(model.steps)} steps of ${formatCount(model.globalBatch)} rows, ${formatCount(model.tokens)} tokens, seed ${model.seed}${model.finalLoss === null ? "" : `, final loss ${model.finalLoss.toFixed(3)}`}.`,
      ...(shown.length > 0
        ? [`TRL's settings: ${shown.map((name) => `${name} ${String(settings[name])}`).join(", ")}.`]
        : []),
      `Checks of the saved model: ${model.checks.map(({ name, held }) => `${name} ${held ? "held" : "**did not hold**"}`).join(", ") || "none"}.`,
    ]),
    ...foundPart(report, figuresOf(report, [model.model])),
    "## Licence",
    `\`${licence}\`. The base model's terms, and those of ${sources.text}, hold as well.`,
  ];
  return `---\n${stringify(front)}---\n\n${texts.join("\n\n")}\n`;
}

/**
 * A text without the folders and servers of this machine: of a path its last part stays, of a server's address the model. Ids on the Hub
 * (`owner/name`) stay, unless there is a folder of that name.
 */
export function publicText(text: string): string {
  return text
    .replaceAll(
      /(?:servers:[^#\s,()]+|https?:\/\/[^#\s,()]+(?:,https?:\/\/[^#\s,()]+)*)#([^\s,()]+)/g,
      (_, model: string) => basename(model),
    )
    .replaceAll(/https?:\/\/[^\s,()]+/g, "a server")
    .replaceAll(/[^\s,()"'`;|]*[/\\][^\s,()"'`;|]*/g, (token) => {
      const [, kind = "", path = ""] = /^([a-z]+:)?(.*)$/s.exec(token) ?? [];
      const isHubId =
        /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(path) &&
        !existsSync(path) &&
        (kind === "" || kind === "hf:" || measuring.has(kind));
      return isHubId ? token : `${kind}${path.split(/[/\\]/).findLast((part) => part !== "") ?? ""}`;
    });
}

/** Kinds of judges that name a model. */
const measuring: ReadonlySet<string> = new Set(["perplexity:", "ifd:", "fit:", "reward:", "openrouter:"]);

function judgeLines({ scores }: RunReport): string[] {
  if (!scores) return [];
  return [
    `The judge: ${publicText(scores.judge)}, which scored ${formatShareDown(scores.coverage)} of the rows${scores.mean === null ? "" : `, ${formatScore(Number(scores.mean.toFixed(2)))} on average${scores.scale ? ` on a scale from ${scores.scale.min} to ${scores.scale.max}` : ""}`}.`,
    ...scores.references.map(
      ({ name, agreement: { spearman, rows } }) =>
        `Agreement with ${publicText(name)} over ${formatCount(rows)} rows: Spearman ${interval(spearman)}.`,
    ),
  ];
}

function foundPart({ head }: RunReport, figures: readonly Figure[]): string[] {
  if (figures.length === 0) return [];
  const rows = figures.map(
    ({ of, figure, value, low, high, p, n }) =>
      `| ${[
        publicText(of).replaceAll("|", "\\|"),
        figure.replaceAll("_", " "),
        value === null ? "-" : formatMetric(value),
        low === null || low === undefined ? "" : `${formatMetric(low)} to ${formatMetric(high!)}`,
        p === undefined ? "" : p < 0.001 ? "< 0.001" : p.toFixed(3),
        n === undefined ? "" : formatCount(n),
      ].join(" | ")} |`,
  );
  return [
    "## What was found",
    ...(head.trust ? [`Should you trust this? ${publicText(head.trust.sentence)}`] : []),
    ["| of | figure | value | 95 % interval | p | n |", "|---|---|---|---|---|---|", ...rows].join("\n"),
  ];
}

/** The figures of comparisons, losses and benchmarks about some arms or models. */
function figuresOf(report: RunReport, names: readonly string[]): Figure[] {
  const isAbout = ({ of }: Figure) => names.some((name) => ` ${of} `.includes(` ${name} `));
  return listFigures(report).filter(
    (figure) => ["comparison", "loss", "benchmark"].includes(figure.part) && isAbout(figure),
  );
}

/** The data's sources: on the Hub by name, others without their folders. */
function sourcesOf({ dataset }: RunReport): { readonly text: string; readonly onHub: readonly string[] } {
  const all = dataset?.sources?.map(({ source }) => source) ?? (dataset ? [dataset.source] : []);
  const repos = all.flatMap((source) => /^hf:([\w.-]+\/[\w.-]+)/.exec(source)?.[1] ?? []);
  const names = all.map((source) => {
    const repo = /^hf:([\w.-]+\/[\w.-]+)/.exec(source)?.[1];
    return repo === undefined ? `\`${basename(source)}\`` : `[${repo}](https://huggingface.co/datasets/${repo})`;
  });
  return { text: names.join(", ") || "its source", onHub: [...new Set(repos)] };
}

function sizeCategory(rows: number): string {
  const limits = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
  const names = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B"];
  return names[limits.findIndex((limit) => rows < limit)] ?? "n>1T";
}

function interval({ value, low, high }: { value: number | null; low: number | null; high: number | null }): string {
  return `${value?.toFixed(2) ?? "-"}${low === null || high === null ? "" : ` (${low.toFixed(2)} to ${high.toFixed(2)})`}`;
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join("\n");
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
