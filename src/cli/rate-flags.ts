import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import type { Combination } from "../judge/judge.ts";
import { callsModel, readMeasureName, readServedMeasure, type MeasureTemplate } from "../likelihood/measure-name.ts";
import { isModelName } from "../llm/model-name.ts";
import { isStudentName, readVerifierName } from "../run/judge-kind.ts";
import type { ServingFlags } from "./serving-options.ts";
import { expectNoFlags, expectNoModelFlags, type ModelFlags } from "./model-options.ts";

/** The options of `rate`. */
export interface RateFlags extends ModelFlags, ServingFlags {
  judge?: string[] | undefined;
  combine?: Combination | undefined;
  rescale?: boolean | undefined;
  escalate?: number | { share: number } | undefined;
  to?: string | undefined;
  minScore?: number | undefined;
  precision?: number | undefined;
  rubric?: string | undefined;
  dryRun?: boolean | undefined;
  check?: boolean | undefined;
  logprobs?: boolean | undefined;
  samples?: number | undefined;
  maxPromptTokens?: number | undefined;
  against?: string | undefined;
  shape?: string | undefined;
  map?: Record<string, string> | undefined;
  scale?: { min: number; max: number } | undefined;
  minCoverage: number;
  as?: string | undefined;
  unlike?: "score" | "refuse" | undefined;
  template?: MeasureTemplate | undefined;
  maxLength?: number | undefined;
  quotes?: "double" | "none";
  unreadable: "stop" | "skip";
  maxUnreadable?: number | undefined;
  overwrite?: boolean | undefined;
  shard?: { index: number; of: number } | undefined;
  limit?: number | undefined;
  run: string;
  json?: boolean | undefined;
}

/** @throws UsageError if an option is given that does not apply to these judges */
export function expectFittingFlags(flags: RateFlags, names: readonly string[], self: Command): void {
  const looked = names.find((name) => /^(recorded|column|run):/.test(name));
  const part = flags.shard ? "--shard" : flags.limit === undefined ? undefined : "--limit";
  if (flags.shard && flags.limit !== undefined)
    throw new UsageError("--limit: expected all of the rows, got --shard with it; leave one out");
  if (part && (names.length > 1 || flags.escalate !== undefined))
    throw new UsageError(
      `${part}: expected one judge that looks at a row by itself, got ${names.length > 1 ? names.join(", ") : "--escalate"}; rate with one judge a run`,
    );
  if (part && looked !== undefined)
    throw new UsageError(
      `${part}: expected a judge that looks at a row by itself, got ${looked}, whose scores are there already; rate all rows at once`,
    );
  for (const name of ["to", "min-score", "precision"] as const) {
    const value = { to: flags.to, "min-score": flags.minScore, precision: flags.precision }[name];
    if (value !== undefined && flags.escalate === undefined)
      throw new UsageError(`--${name}: expected --escalate with it, got none`);
  }
  if (flags.maxUnreadable !== undefined && flags.unreadable !== "skip")
    throw new UsageError("--max-unreadable: expected --unreadable skip with it");
  if (flags.escalate !== undefined && flags.unreadable === "skip")
    throw new UsageError(
      "--unreadable skip: expected one judge or a panel, got --escalate, whose estimates are about all rows; correct the data first",
    );
  if (flags.combine && flags.escalate !== undefined)
    throw new UsageError("--combine: expected a panel, got --escalate; leave one out");
  if (flags.escalate !== undefined && flags.to === undefined)
    throw new UsageError("--escalate: expected --to with it, the judge to ask: --to openai:gpt-5-mini");
  const all = [...names, ...(flags.to === undefined ? [] : [flags.to])];
  const ofReplies = ["rubric", "logprobs", "samples", "max-prompt-tokens", "max-output-tokens", "reasoning"];
  const isKnown = (name: string) =>
    isStudentName(name) || readMeasureName(name) || readVerifierName(name) || /^(?:recorded|column|run):/.test(name);
  if (!all.every((name) => callsModel(name) || isKnown(name))) return; // opening it says which judges there are
  if (!all.some(callsModel)) expectNoModelFlags(self, all.join(", "), [...ofReplies, "dry-run"]);
  else if (!all.some(isModelName)) expectNoFlags(self, ofReplies, `a judge that replies, got ${all.join(", ")}`);
  if ((flags.template !== undefined || flags.maxLength !== undefined) && !all.some((name) => readMeasureName(name)))
    throw new UsageError(
      flags.template === undefined
        ? `--max-length: expected --judge perplexity:MODEL, ifd:MODEL, fit:MODEL or reward:MODEL with it, got ${all.join(", ")}`
        : `--template: expected --judge perplexity:MODEL, ifd:MODEL or fit:MODEL with it, got ${all.join(", ")}`,
    );
  if (flags.on !== undefined && all.every((name) => !readMeasureName(name) || readServedMeasure(name)))
    throw new UsageError(
      `--on: expected --judge perplexity:MODEL, ifd:MODEL, fit:MODEL or reward:MODEL with it, got ${all.join(", ")}; a judge that replies in words is served there by: alpagasus serve MODEL --on ${flags.on}`,
    );
  if (flags.scale && all.every((name) => isModelName(name)))
    throw new UsageError("--scale: the rubric has a scale of its own; leave the option out");
  if (flags.scale && !all.some((name) => /^(recorded|column):/.test(name)))
    throw new UsageError(
      "--scale: expected recorded scores or a column; other judges have scales of their own, and perplexity has none",
    );
}
