import type { Scale } from "../run/rating.ts";
import { leastDegrees } from "./examine.ts";
import { type AnchorRatings, mean, scoreOf, sumOfSquares } from "./figures.ts";

const leastRows = 10; // rated at the beginning and at the end

const retestZ = 1.5; // standard errors: from here on, another round is rated

const driftZ = 2.45; // standard errors: from here on, it is drift

const leastShift = 0.03; // of the scale

const retestSpread = 2; // times the judge's own variance

const driftSpread = 3;

const leastSpread = 0.1; // of the scale

const leastMovedRows = 4; // rows

/** Whether a judge drifted between the beginning and the end of a rating. */
export interface Drift {
  /** Whether the anchors should be rated another time at the end before deciding. */
  readonly isStirred: boolean;
  /** One line on what changed; undefined when the change is within the judge's own noise, or too little is known. */
  readonly alarm?: string | undefined;
}

/**
 * Tests whether a judge changed between the beginning and the end of a rating, compared with the spread of its replies to one
 * question. Did the scores of all rows together rise or fall (as tested by permuting each row's replies), or did single rows
 * change more than repeated replies differ?
 */
export function findDrift(start: readonly AnchorRatings[], end: readonly AnchorRatings[], { min, max }: Scale): Drift {
  const span = max - min;
  const rows = (start[0] ?? []).flatMap((_, i) => {
    const [before, after] = [start, end].map((rounds) => rounds.flatMap((ratings) => scoreOf(ratings[i]) ?? []));
    return before!.length > 0 && after!.length > 0 ? [{ before: before!, after: after! }] : [];
  });
  const degrees = rows.reduce((sum, { before, after }) => sum + before.length - 1 + after.length - 1, 0);
  if (rows.length < leastRows || degrees < leastDegrees) return { isStirred: true };
  const changes = rows.map(({ before, after }) => mean(after) - mean(before));
  const sizes = rows.map(({ before, after }) => 1 / before.length + 1 / after.length);
  const byChance = rows.map(
    ({ before, after }) => sumOfSquares([[...before, ...after]]) / (before.length + after.length - 1),
  );
  const change = mean(changes);
  const error = Math.sqrt(byChance.reduce((sum, variance, i) => sum + variance * sizes[i]!, 0)) / rows.length;
  const z = error > 0 ? change / error : 0;
  const own = rows.reduce((sum, { before, after }) => sum + sumOfSquares([before, after]), 0) / degrees;
  const seen = mean(changes.map((one, i) => one ** 2 / sizes[i]!));
  const spread = own > 0 ? seen / own : seen > 0 ? Infinity : 0;
  const excess = Math.sqrt(Math.max(0, mean(changes.map((one) => one ** 2)) - own * mean(sizes)));
  const movedRows = changes.filter((one) => Math.abs(one) > 1e-9 * span).length;
  const isShifted = Math.abs(change) >= leastShift * span - 1e-9 && Math.abs(z) >= driftZ;
  const isSpread = spread >= driftSpread && excess >= leastSpread * span && movedRows >= leastMovedRows;
  const isStirred = Math.abs(z) >= retestZ || spread >= retestSpread;
  if (!isShifted && !isSpread) return { isStirred };
  const noise = `its replies to one question vary by ${Math.sqrt(own).toFixed(2)}`;
  const what = isShifted
    ? `at the end it scores ${rows.length} anchor rows ${Math.abs(change).toFixed(2)} ${change > 0 ? "higher" : "lower"} than at the beginning`
    : `at the end it scores ${movedRows} of ${rows.length} anchor rows differently than at the beginning, by ${excess.toFixed(2)} beyond its own noise`;
  return {
    isStirred,
    alarm: `the judge has drifted: ${what} (${noise}, on a scale from ${min} to ${max}); rows that were rated early and late are not comparable`,
  };
}
