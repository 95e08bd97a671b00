import { join } from "node:path";
import { curateScores, leastRows, whyNotCurated } from "../curation/curate.ts";
import { leastAgreement, weighCorrection } from "../curation/guard.ts";
import { twoNearest, type Points } from "../curation/neighbours.ts";
import type { Dataset } from "../dataset/dataset.ts";
import { writeJsonLines } from "../files/json-lines.ts";
import { formatCount } from "../format.ts";
import { combineScores } from "../judge/panel.ts";
import { toEstimateRecord } from "../run/estimate-record.ts";
import type { PanelCorrection, PanelSummary } from "../run/records/rating.ts";
import type { RatingState } from "../run/rating.ts";
import type { RatingLine } from "../run/ratings-file.ts";
import type { RunFolder } from "../run/run-folder.ts";
import { spearman } from "../stats/agreement.ts";
import { histogram } from "../stats/histogram.ts";
import { weightedKappa } from "../stats/kappa.ts";
import { standardiseColumns } from "../stats/standardise.ts";
import { createFeatureExtractor } from "../student/features.ts";
import { denseCount } from "../student/dense-features.ts";
import { describeCalls } from "./describe-calls.ts";
import type { StageOptions } from "./progress.ts";
import type { Panel } from "../judge/judge.ts";

const mostDisagreements = 20;
const mostCuratedRows = 200_000; // with more, the search for neighbours takes too long

/** Collects the scores of a panel's judges, each alone and compared. Takes 8 bytes per row and judge. */
export class PanelTally {
  readonly #panel: Panel;
  /** By judge; NaN when it gave no score. */
  readonly #scores: number[][];
  readonly #states: Map<RatingState, number>[];
  #disagreements: PanelSummary["disagreements"][number][] = [];

  constructor(panel: Panel) {
    this.#panel = panel;
    this.#scores = panel.members.map(() => []);
    this.#states = panel.members.map(() => new Map());
  }

  add(lines: readonly RatingLine[]): void {
    for (const { index, id, panel = [], state: whole } of lines) {
      if (whole === "unreadable") {
        for (const [judge, scores] of this.#scores.entries()) {
          scores.push(NaN);
          this.#states[judge]!.set(whole, (this.#states[judge]!.get(whole) ?? 0) + 1);
        }
        continue;
      }
      for (const [judge, { state, score }] of panel.entries()) {
        this.#scores[judge]!.push(score ?? NaN);
        this.#states[judge]!.set(state, (this.#states[judge]!.get(state) ?? 0) + 1);
      }
      const scores = panel.map(({ score }) => score ?? null);
      const known = scores.filter((score) => score !== null);
      if (known.length > 1) this.#compare({ index, id, scores }, known);
    }
  }

  #compare(row: Omit<PanelSummary["disagreements"][number], "spread">, known: readonly number[]): void {
    const spread = Math.max(...known) - Math.min(...known);
    const last = this.#disagreements.at(-1);
    if (spread === 0 || (this.#disagreements.length >= mostDisagreements && spread <= last!.spread)) return;
    const at = this.#disagreements.findIndex((other) => other.spread < spread);
    this.#disagreements.splice(at < 0 ? this.#disagreements.length : at, 0, { ...row, spread });
    this.#disagreements.length = Math.min(this.#disagreements.length, mostDisagreements);
  }

  /** Summarises the panel. With enough rows, also corrects the judges' errors, which reads the data once more. */
  async summarise(dataset: Dataset, run: RunFolder, options: StageOptions): Promise<PanelSummary> {
    const { members, combine } = this.#panel;
    return {
      combine,
      judges: members.map((judge, i) => {
        const scores = this.#scores[i]!.filter((score) => !Number.isNaN(score));
        const counts = new Map<number, number>();
        for (const score of scores) counts.set(score, (counts.get(score) ?? 0) + 1);
        return {
          judge: judge.name,
          scale: judge.scale,
          question: judge.question,
          states: Object.fromEntries(this.#states[i]!),
          mean: scores.length > 0 ? scores.reduce((sum, score) => sum + score, 0) / scores.length : null,
          histogram: histogram(counts),
          ...describeCalls(judge, this.#states[i]!.get("pending") ?? 0),
        };
      }),
      agreements: members.flatMap((a, i) =>
        members.slice(i + 1).map((b, j) => {
          const [one, other] = pairUp(this.#scores[i]!, this.#scores[i + 1 + j]!);
          return {
            a: a.name,
            b: b.name,
            rows: one.length,
            spearman: toEstimateRecord(spearman(one, other)),
            kappa: toEstimateRecord(weightedKappa(one, other)),
          };
        }),
      ),
      disagreements: this.#disagreements,
      ...(await this.#correct(dataset, run, options)),
    };
  }

  async #correct(
    dataset: Dataset,
    run: RunFolder,
    options: StageOptions,
  ): Promise<Pick<PanelSummary, "correction" | "uncorrected">> {
    const { members, combine } = this.#panel;
    const count = this.#scores[0]!.length;
    const rows = Array.from({ length: count }, (_, row) => row).filter((row) =>
      this.#scores.every((scores) => !Number.isNaN(scores[row]!)),
    ); // rows that all judges scored: one search for neighbours serves all
    const taken = this.#scores.map((scores) => Float64Array.from(rows, (row) => scores[row]!));
    const reasons = taken.map((scores, i) => [members[i]!.name, whyNotCurated(scores)] as const);
    const [whose, why] = reasons.find(([, reason]) => reason !== undefined) ?? [];
    if (why !== undefined)
      return { uncorrected: rows.length < leastRows ? `${why} by all judges` : `${whose}: ${why}` };
    if (rows.length > mostCuratedRows)
      return { uncorrected: `it is done for up to ${formatCount(mostCuratedRows)} rows` };
    const points = await embed(dataset, rows, options);
    const nearest = twoNearest(points);
    const curated = taken.map((scores) => curateScores(scores, nearest));
    const { weights, gain, neighbourAgreement } = weighCorrection(
      curated.map(({ scores }, i) => ({ raw: taken[i]!, corrected: scores })),
      nearest,
    );
    if (weights.every((weight) => weight === 0))
      return {
        uncorrected: neighbourAgreement.some((agreement) => agreement <= leastAgreement)
          ? "similar rows do not get similar scores more often than by chance, so that they cannot show a judge's errors"
          : "the correction does not raise agreement with the other judges' raw scores, which it has not seen",
      };
    const corrected = curated.map(({ scores }, i) =>
      scores.map((score, at) => taken[i]![at]! + weights[i]! * (score - taken[i]![at]!)),
    );
    const path = join(run.folder, "corrected.jsonl");
    const lines = rows.map((index, at) => {
      const own = corrected.map((scores) => Number(scores[at]!.toFixed(4)));
      return { index, score: Number(combineScores(own, combine).toFixed(4)), corrected: own };
    });
    const correctedHash = await writeJsonLines(path, lines);
    const judges: PanelCorrection["judges"] = members.map(({ name }, i) => {
      const { levels, model } = curated[i]!;
      return {
        judge: name,
        weight: weights[i]!,
        neighbourAgreement: neighbourAgreement[i]!,
        levels: [...levels],
        prior: [...model.prior],
        transition: model.transition.map((row) => [...row]),
        consistentShare: model.prior.reduce((sum, share, c) => sum + share * model.transition[c]![c]!, 0),
        agreements: members.map((other, j) => ({
          with: other.name,
          raw: toEstimateRecord(spearman(taken[i]!, taken[j]!)),
          corrected: toEstimateRecord(spearman(corrected[i]!, taken[j]!)),
        })),
      };
    });
    return { correction: { rows: rows.length, path, correctedHash, gain, judges } };
  }
}

/** Both judges' scores of the rows that both scored. */
function pairUp(a: readonly number[], b: readonly number[]): [Float64Array, Float64Array] {
  const both = a.map((score, row) => !Number.isNaN(score) && !Number.isNaN(b[row]!));
  return [Float64Array.from(a.filter((_, row) => both[row])), Float64Array.from(b.filter((_, row) => both[row]))];
}

/**
 * The rows as points: counts and shares that describe their texts, each scaled to mean 0 and standard deviation 1 over these
 * rows. The space does not depend on any judge.
 */
async function embed(dataset: Dataset, rows: readonly number[], options: StageOptions): Promise<Points> {
  const extract = createFeatureExtractor();
  const values = new Float32Array(rows.length * denseCount);
  let next = 0;
  for await (const batch of dataset.batches()) {
    options.signal?.throwIfAborted();
    for (const example of batch) {
      if (example.index !== rows[next]) continue;
      values.set(extract(example).dense, next * denseCount);
      next++;
    }
    options.onProgress?.({ stage: "rate", doing: "correcting", done: next, total: rows.length, unit: "rows" });
  }
  standardiseColumns(values, rows.length, denseCount);
  return { count: rows.length, dimensions: denseCount, values };
}
