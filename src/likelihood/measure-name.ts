import { isModelName } from "../llm/model-name.ts";

/** What a model on this machine measures of a row's answer: three of how likely it is, and the score of a reward model. */
const measureKinds = ["perplexity", "ifd", "fit", "reward"] as const;
type MeasureKind = (typeof measureKinds)[number];
export type LikelihoodKind = Exclude<MeasureKind, "reward">;

/** How a row's prompt is written for the model that measures. */
export const measureTemplates = ["plain", "alpaca", "chat"] as const;
export type MeasureTemplate = (typeof measureTemplates)[number];

/**
 * The kind and the model of a judge's name: `ifd:Qwen/Qwen3-0.6B`, or `ifd` alone, by smollm2, which is no reward model. Undefined for
 * other judges.
 */
export function readMeasureName(name: string): { readonly kind: MeasureKind; readonly model: string } | undefined {
  const [, word, model] = /^([a-z]+)(?::(.+))?$/s.exec(name) ?? [];
  const kind = measureKinds.find((measure) => measure === word);
  if (kind === undefined || (kind === "reward" && model === undefined)) return undefined;
  return { kind, model: model ?? "smollm2" };
}

/** As `readMeasureName`, of a model behind a server: `ifd:http://127.0.0.1:8000/v1#base`. Undefined for other judges. */
export function readServedMeasure(name: string): ReturnType<typeof readMeasureName> {
  const measure = readMeasureName(name);
  return measure && isModelName(measure.model) ? measure : undefined;
}

/** Whether a judge of this name calls a model: one that replies, or one that measures behind a server. */
export function callsModel(name: string): boolean {
  return isModelName(name) || readServedMeasure(name) !== undefined;
}
