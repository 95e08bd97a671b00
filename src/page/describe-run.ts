import { conclude } from "../comparison/conclude.ts";
import { seesOrder } from "../run/judge-kind.ts";
import { formatCount } from "../format.ts";
import { warningOf, weighComparison } from "../health/trust.ts";
import { describeQuestion } from "../run/describe-question.ts";
import type { FileStates } from "../run/file-states.ts";
import { isRated, type Manifest, type RatedManifest } from "../run/manifest.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";
import type { Work } from "../run/work.ts";
import type { ComparisonReport, ScoreReport } from "./contract.ts";
import { tellTrust } from "./head.ts";
import type { FollowedRows } from "./follow-rows.ts";
import type { RowFigures } from "./row-figures.ts";

/** The judge's scores: those so far if a rating is in progress, else those in the manifest. */
export function describeScores(
  manifest: Manifest | undefined,
  working: readonly Work[],
  rows: FollowedRows | undefined,
): ScoreReport | undefined {
  const rating = working.find((work) => work.rating !== undefined)?.rating;
  if (rating && rows?.isPartial && rows.figures) return describeUnfinished(rating, rows.figures);
  if (!isRated(manifest)) return undefined;
  return describeFinished(manifest, rows?.ratingsHash === manifest.rate.ratingsHash ? rows?.figures : undefined);
}

function describeUnfinished({ judge, scale }: NonNullable<Work["rating"]>, figures: RowFigures): ScoreReport {
  const { states, mean, histogram, thresholds } = figures;
  const { rows } = thresholds.total;
  return {
    judge,
    scale,
    states,
    coverage: rows > 0 ? (states["scored"] ?? 0) / rows : 0,
    mean,
    histogram: [...histogram],
    notes: [],
    alarms: [],
    rows,
    gates: [],
    isPartial: true,
    thresholds,
    references: [],
  };
}

function describeFinished({ rate, dataset, arms }: RatedManifest, figures: RowFigures | undefined): ScoreReport {
  const { judge, scale, states, coverage, mean, histogram, notes, alarms, gates, question } = rate;
  const { panel, escalation, checks } = rate;
  const full = Object.values(arms)
    .map((arm) => arm.full)
    .find((whole) => whole?.trainingMinutes !== undefined || whole?.trainingUsd !== undefined);
  return {
    judge,
    scale,
    states,
    coverage,
    mean,
    histogram,
    notes,
    alarms,
    gates,
    panel,
    escalation,
    checks,
    rows: dataset.rows,
    ...(question && { question: describeQuestion(question) }),
    isPartial: false,
    ...(figures && {
      thresholds: {
        ...figures.thresholds,
        ...(full?.trainingMinutes !== undefined && { fullMinutes: full.trainingMinutes }),
        ...(full?.trainingUsd !== undefined && { fullUsd: full.trainingUsd }),
      },
    }),
    references: figures?.references ?? [],
  };
}

/** A comparison, in words and figures. */
export function describeComparison(
  key: string,
  comparison: ComparisonSummary,
  { arms, dataset }: Manifest,
  sizes: Readonly<Record<string, number>> = {},
): ComparisonReport {
  const sizeOf = (arm: string) => sizes[arm] ?? arms[arm]?.rows ?? (arm === "full" ? dataset?.rows : undefined);
  const [a, b] = [sizeOf(comparison.a), sizeOf(comparison.b)];
  const trust = weighComparison(comparison);
  return {
    ...comparison,
    key,
    sentence: conclude(comparison, warningOf(trust)),
    trust: tellTrust(trust),
    sizes: { a, b },
    seesOrder: seesOrder(comparison.judge),
  };
}

/** Problems with the run's files: those that are missing, changed or stale. */
export function describeFiles(manifest: Manifest | undefined, files: FileStates | undefined): string[] {
  if (!files || !manifest?.dataset) return [];
  const { dataset, ratings, arms } = files;
  const problems: string[] = [];
  if (dataset !== "present") problems.push(`${manifest.dataset.source}: the rated data is ${dataset}`);
  if (ratings !== "present") problems.push(`ratings.jsonl: the ratings are ${ratings}`);
  for (const { arm, path, state, isStale, controls } of arms) {
    if (state !== "present") problems.push(`${path}: the arm ${arm} is ${state}`);
    else if (isStale)
      problems.push(
        `${path}: the arm ${arm} was selected from older ratings, other data${controls ? ` or an earlier ${controls.arm}` : ""}; select it again`,
      );
  }
  return problems;
}

/** A problem if the scores of the run's reference judge can no longer be read. */
export function missingReference(manifest: Manifest | undefined, scores: ScoreReport | undefined): string[] {
  const agreement = manifest?.rate?.agreement;
  if (!agreement || !scores?.thresholds || scores.isPartial) return [];
  if (scores.references.some(({ name }) => name === agreement.reference)) return [];
  const { value } = agreement.spearman;
  return [
    `${agreement.reference}: its scores can no longer be read; on ${formatCount(agreement.rows)} rows, Spearman's correlation with them was ${value?.toFixed(3) ?? "not known"}`,
  ];
}
