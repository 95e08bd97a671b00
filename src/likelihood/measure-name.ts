/** What is made of how likely a model finds a row's answer. */
const measureKinds = ["perplexity", "ifd", "fit"] as const;
export type MeasureKind = (typeof measureKinds)[number];

/** How a row's prompt is written for the model that measures. */
export const measureTemplates = ["plain", "alpaca", "chat"] as const;
export type MeasureTemplate = (typeof measureTemplates)[number];

/** The kind and the model of a judge's name: `ifd:Qwen/Qwen3-0.6B`, or `ifd` alone, by smollm2. Undefined for other judges. */
export function readMeasureName(name: string): { readonly kind: MeasureKind; readonly model: string } | undefined {
  const [, kind, model] = /^([a-z]+)(?::(.+))?$/s.exec(name) ?? [];
  const known = measureKinds.find((measure) => measure === kind);
  return known && { kind: known, model: model ?? "smollm2" };
}
