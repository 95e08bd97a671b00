import type { Dataset } from "../dataset/dataset.ts";
import type { Judge } from "../judge/judge.ts";
import { rateAll } from "../judge/rate-all.ts";
import { toAgreementRecord, toEstimateRecord } from "../run/estimate-record.ts";
import type { Rating } from "../run/rating.ts";
import type { AgreementRecord } from "../run/records/rating.ts";
import { measureAgreement, spearman } from "../stats/agreement.ts";

/** Keeps the judge's scores, to compare them with the reference's scores for the same rows. */
export class ReferenceAgreement {
  readonly #reference: Judge;
  readonly #scores: number[] = [];
  readonly #written: number[] = [];

  constructor(reference: Judge) {
    this.#reference = reference;
  }

  addScores(ratings: readonly Rating[]): void {
    for (const rating of ratings) {
      this.#scores.push(rating.state === "scored" ? rating.score : NaN);
      this.#written.push(rating.state === "scored" ? (rating.written ?? NaN) : NaN);
    }
  }

  async measure(dataset: Dataset): Promise<AgreementRecord> {
    const scores: number[] = [];
    const reference: number[] = [];
    const written: number[] = [];
    let row = 0;
    for await (const ratings of rateAll(this.#reference, dataset.batches())) {
      for (const rating of ratings) {
        const score = this.#scores[row]!;
        const asWritten = this.#written[row++]!;
        if (rating.state !== "scored" || Number.isNaN(score)) continue;
        scores.push(score);
        written.push(asWritten);
        reference.push(rating.score);
      }
    }
    const hasWritten = written.length > 0 && !written.some(Number.isNaN);
    return {
      ...toAgreementRecord(this.#reference.name, measureAgreement(scores, reference)),
      ...(hasWritten && { writtenSpearman: toEstimateRecord(spearman(written, reference)) }),
    };
  }
}
