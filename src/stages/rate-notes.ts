import type { Dataset } from "../dataset/dataset.ts";
import { formatCount, formatUsd } from "../format.ts";
import { expectedCost } from "./describe-calls.ts";
import type { Judge } from "../judge/judge.ts";
import { nanosPerUsd } from "../llm/price.ts";
import type { CheckedJudge } from "../run/judge-checks.ts";
import type { Manifest } from "../run/manifest.ts";

/* What the summary of a rating says beside its figures. */

/** A note on what was not rated, and what that would cost. @param pending of the rows that were to be rated */
export function describeLimit(
  limit: number,
  of: number,
  pending: number,
  { accounts, calls, question }: Judge,
): string {
  const rest = of - limit + pending;
  const cost = accounts && calls ? expectedCost(accounts().meanCost, calls(), rest * (question?.samples ?? 1)) : null;
  const rated =
    pending > 0 ? `${formatCount(limit - pending)} of the ${formatCount(limit)} rows of --limit` : formatCount(limit);
  return `${rated} of ${formatCount(of)} rows were rated, drawn at random; the same command without --limit goes on with the other ${formatCount(rest)}${cost === null ? "" : `, for about ${formatUsd(cost / nanosPerUsd)}`}`;
}

/** An alarm for a judge that failed its check before it rated. @param told what the judge itself says */
export function describeEarlierCheck(earlier: CheckedJudge | undefined, told: readonly string[] = []): string[] {
  const failed = earlier?.checks.filter(({ held, isUnknown }) => !held && !isUnknown) ?? [];
  const untold = failed.filter(({ name, message }) => !told.some((alarm) => alarm.endsWith(`${name}: ${message}`)));
  return untold.map(
    ({ name, message }) =>
      `${earlier!.judge} failed its check of ${earlier!.at.slice(0, 10)} and was used all the same: ${name}: ${message}`,
  );
}

/** A note on arms of the data as it was, which are no longer the run's. */
export function describeDropped(before: Manifest["arms"], now: Manifest["arms"]): string[] {
  const dropped = Object.keys(before).filter((arm) => !Object.hasOwn(now, arm));
  return dropped.length === 0
    ? []
    : [
        `the data changed since: ${dropped.join(", ")} ${dropped.length === 1 ? "is no arm" : "are no arms"} of it any more; select again (the files in arms stay)`,
      ];
}

/** A note on further scores of the data as it was, and the commands that made them. */
export function describeLostScores(scores: NonNullable<Manifest["scores"]>): string[] {
  const names = Object.keys(scores);
  if (names.length === 0) return [];
  const commands = Object.values(scores).flatMap(({ command, judge }) => command ?? `rate with ${judge}`);
  return [
    `the data changed since: ${names.join(", ")} ${names.length === 1 ? "is a score" : "are scores"} of other rows, and left out; rate again, which asks only about rows that changed: ${commands.join("; ")}`,
  ];
}

const mostColumns = 12; // in the note

/** A note on the columns that nobody looked at. */
export function describeUnused({ unused }: Dataset, { name }: Judge): string[] {
  const columns = unused.filter((column) => name !== `column:${column}`);
  if (columns.length === 0) return [];
  const more = columns.length > mostColumns ? `, and ${formatCount(columns.length - mostColumns)} more` : "";
  return [`columns not shown to judges: ${columns.slice(0, mostColumns).join(", ")}${more}`];
}
