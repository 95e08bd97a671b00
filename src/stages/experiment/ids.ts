/*
 * The ids of an experiment's tasks: as the ledger of a run holds them, and as they are shown.
 */

export const rateId = "rate";
/** @param score the name of a further score */
export function scoreId(score: string): string {
  return `score ${score}`;
}

export const contaminationId = "contamination";
export const reportId = "report";

/** @param name of the vectors */
export function embedId(name: string): string {
  return `embed ${name}`;
}

/** @param draw the name of an arm's rows */
export function selectId(draw: string): string {
  return `select ${draw}`;
}

export function trainId(model: string): string {
  return `train ${model}`;
}

export function generateId(model: string): string {
  return `generate ${model}`;
}

export const evaluateId = "evaluate";

export const benchmarkId = "benchmark";

/** The name of an experiment's losses in its run. */
export const evaluationName = "heldout";

/** @param judge as the recipe names it */
export function compareId(a: string, b: string, judge: string): string {
  return `compare ${a} ${b} by ${judge}`;
}
