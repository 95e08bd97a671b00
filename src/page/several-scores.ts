import type { Judge } from "../judge/judge.ts";
import type { RatedManifest } from "../run/manifest.ts";
import type { RunFolder } from "../run/run-folder.ts";
import { listScores } from "../run/scores.ts";
import { toEstimateRecord } from "../run/estimate-record.ts";
import { spearman } from "../stats/agreement.ts";
import { RunError } from "../errors.ts";
import type { Rating } from "../run/rating.ts";
import { inTurn } from "./in-turn.ts";
import type { ArmOverlap, ScoreAgreement } from "./contract.ts";

const mostScores = 12; // on the page; each takes 16 bytes a row

/** A run's further scores as judges that the page compares with the run's own, and how many are left out. */
export function scoreJudges(
  manifest: RatedManifest,
  run: RunFolder,
): { readonly judges: readonly Judge[]; readonly leftOut: number } {
  const all = listScores(manifest, run);
  return {
    judges: all.slice(0, mostScores).map((score) => ({
      name: score.name,
      scale: score.name === score.base ? score.summary.scale : undefined,
      notes: [],
      async *rate(examples) {
        const values = inTurn(score.values());
        try {
          for await (const batch of examples) {
            const ratings: Rating[] = [];
            for (const _ of batch) {
              const value = await values.next();
              ratings.push(value == null ? { state: "pending" } : { state: "scored", score: value });
            }
            yield ratings;
          }
          const more = await values.next(); // at its end, the file is compared with what was written
          if (more !== undefined) throw new RunError(`${score.name}: expected a score for each row, got more`);
        } finally {
          await values.close();
        }
      },
    })),
    leftOut: Math.max(0, all.length - mostScores),
  };
}

const mostRows = 50_000; // for a correlation; more rows are thinned evenly

/** The rank correlation of each two scores, over the rows that have both. */
export function measureAgreements(
  scores: readonly { readonly name: string; readonly scores: Float64Array }[],
): ScoreAgreement[] {
  return scores.flatMap((one, i) =>
    scores.slice(i + 1).map((other): ScoreAgreement => {
      const step = Math.ceil(one.scores.length / mostRows);
      const [xs, ys]: [number[], number[]] = [[], []];
      for (let row = 0; row < one.scores.length; row += step) {
        const [x, y] = [one.scores[row]!, other.scores[row]!];
        if (Number.isNaN(x) || Number.isNaN(y)) continue;
        xs.push(x);
        ys.push(y);
      }
      return { a: one.name, b: other.name, rows: xs.length, spearman: toEstimateRecord(spearman(xs, ys)) };
    }),
  );
}

/** Counts the rows that each two arms share. */
export class OverlapTally {
  readonly #arms: readonly string[];
  readonly #counts: number[][];

  constructor(arms: readonly string[]) {
    this.#arms = arms;
    this.#counts = arms.map(() => arms.map(() => 0));
  }

  /** @param reasons each arm's reason for a row */
  add(reasons: readonly (string | undefined)[]): void {
    for (let a = 0; a < reasons.length; a++) {
      if (reasons[a] !== "kept") continue;
      for (let b = a; b < reasons.length; b++) if (reasons[b] === "kept") this.#counts[a]![b]!++;
    }
  }

  /** @param known the arms whose decisions could be read */
  describe(known: ReadonlySet<string>): ArmOverlap[] {
    return this.#arms.flatMap((a, i) =>
      this.#arms.slice(i + 1).flatMap((b, k) =>
        known.has(a) && known.has(b)
          ? [
              {
                a,
                b,
                shared: this.#counts[i]![i + 1 + k]!,
                ofA: this.#counts[i]![i]!,
                ofB: this.#counts[i + 1 + k]![i + 1 + k]!,
              },
            ]
          : [],
      ),
    );
  }
}
