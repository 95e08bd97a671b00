import { isModelName } from "../llm/model-name.ts";
import { readMeasureName } from "../likelihood/measure-name.ts";
import { isStudentName, readVerifierName } from "../run/judge-kind.ts";
import { formatNumbered, formatShare, formatShareDown } from "../format.ts";
import type { ComparisonSummary, OutcomeAgreement } from "../run/records/comparison.ts";
import type { ExperimentResult } from "../run/records/experiment.ts";
import type { RateSummary } from "../run/records/rating.ts";

/** Whether a result can be trusted as far as the run itself can tell, and what speaks for and against it. */
export interface Trust {
  readonly answer: "yes" | "with care" | "no";
  /** Short clauses without a full stop. */
  readonly for: readonly string[];
  readonly against: readonly string[];
}

/** A weighing, also in one line. */
export interface TrustReport extends Trust {
  readonly sentence: string;
}

/*
 * Limits on intervals: a reason counts against a judge when its whole interval lies beyond the limit. A judge that guesses
 * contradicts itself in half of the pairs, agrees with people with a kappa of 0, and picks the longer answer half of the time.
 */

const mostFlips = 0.3; // share of pairs: beyond it, a verdict says more about the order than about the answers

const manyFlips = 0.15;

const leastKappa = 0.2; // with people, or another judge: below it, agreement is "slight" (Landis and Koch 1977)

const goodKappa = 0.4;

const mostFirst = 0.65; // share of the verdicts for one place

const mostLonger = 0.7; // share of the decided pairs won by the longer answer

const onlyLonger = 0.9; // the same: beyond it, the length of an answer tells its verdict

const leastCorrelation = 0.2;

const goodCorrelation = 0.5;

const mostDraws = 0.95; // share of the verdicts: beyond it, the judge tells no answers apart
const fewestSaid = 20; // verdicts

const fewPairs = 30;

const fewScored = 0.95; // share of the rows, however low the gate was set

const manyUndecided = 0.05;

/** How the alarm begins of a judge that was used against its check. */
export const ratesThough = "failed its check and was used all the same";

interface Reasons {
  readonly for: string[];
  /** What makes the result worthless until it is mended. */
  readonly wrong: string[];
  /** What weakens it. */
  readonly weak: string[];
}

const isOf = (value: number | null | undefined): value is number => value !== null && value !== undefined;

/** A figure with its interval, where it has one. */
function numberOf({ value, low, high }: OutcomeAgreement["kappa"]): string {
  const interval = isOf(low) && isOf(high) ? `, between ${low.toFixed(2)} and ${high.toFixed(2)}` : "";
  return `${value?.toFixed(2) ?? "-"}${interval}`;
}

/** Weighs a rating: the check of its judge, what it missed, and its agreement with a reference and between judges. */
export function weighRating(rate: RateSummary): Trust {
  const reasons: Reasons = { for: [], wrong: [], weak: [] };
  const { judge, checks, alarms, agreement, gates, coverage, panel } = rate;
  const failed = checks?.filter(({ held, isUnknown }) => !held && !isUnknown) ?? [];
  const unknown = checks?.filter(({ isUnknown }) => isUnknown) ?? [];
  if (failed.length > 0)
    reasons.wrong.push(`the judge failed its check (${failed.map(({ name }) => name).join(", ")})`);
  else if (unknown.length > 0) reasons.weak.push("the check of the judge could not be completed");
  else if (checks) reasons.for.push("the judge passed its check on anchor rows");
  else if (isStudentName(judge))
    reasons.weak.push("the judge is a small model that imitates another: a first look, not a verdict");
  else if (readMeasureName(judge))
    reasons.weak.push("it says how likely a model finds the answers, not whether they are right");
  else if (readVerifierName(judge))
    reasons.for.push("answers were compared with references, which are taken to be right");
  else if (rate.calls && !alarms.some((alarm) => alarm.includes(ratesThough)))
    reasons.weak.push("the judge was not checked");
  else if (rate.calls) reasons.wrong.push("the judge failed its check");
  else reasons.weak.push("recorded scores were taken as they are");
  const unsaid = alarms.filter((alarm) => !failed.some(({ message }) => alarm.includes(message)));
  const others = unsaid.filter((alarm) => !alarm.includes(ratesThough)); // that is said already
  if (others.length > 0) reasons.wrong.push(others.join("; "));
  if (rate.calls?.stopped !== undefined) reasons.wrong.push("the rating was stopped before its end");
  if (gates.some(({ name, held }) => !held && name === "coverage"))
    reasons.wrong.push(`only ${formatShareDown(coverage)} of the rows have a score`);
  else if (coverage < fewScored) reasons.weak.push(`only ${formatShareDown(coverage)} of the rows have a score`);
  for (const { name, held, message } of gates) if (!held && name !== "coverage") reasons.wrong.push(message);
  if (rate.shard) reasons.weak.push(`it is shard ${rate.shard.index} of ${rate.shard.of}, not all rows`);
  else if (coverage === 1) reasons.for.push(rate.hasOnlyMarks ? "every row has marks" : "every row has a score");
  if (agreement) {
    const { low, high, value } = agreement.spearman;
    const what =
      value === null
        ? `its scores cannot be compared with ${agreement.reference}: one of both gives the same to every row`
        : `its scores correlate with ${agreement.reference} by ${numberOf(agreement.spearman)}`;
    if (isOf(high) && high < leastCorrelation) reasons.wrong.push(what);
    else if (isStudentName(judge)) reasons.weak.push(`${what}, which says little if it was trained on these rows`);
    else if (isOf(low) && low >= goodCorrelation) reasons.for.push(what);
    else reasons.weak.push(what);
  }
  for (const { a, b, kappa } of panel?.agreements ?? []) {
    const figure = `kappa ${numberOf(kappa)}`;
    if (isOf(kappa.high) && kappa.high < leastKappa) reasons.weak.push(`${a} and ${b} hardly agree (${figure})`);
    else if (!isOf(kappa.low) || kappa.low <= 0)
      reasons.weak.push(`it is not shown that ${a} and ${b} agree beyond chance (${figure})`);
  }
  return answer(reasons);
}

/** Weighs a comparison: the order of the answers, missing verdicts, agreement with people, and length. */
export function weighComparison(summary: ComparisonSummary): Trust {
  const reasons: Reasons = { for: [], wrong: [], weak: [] };
  if (summary.failedChecks?.length)
    reasons.wrong.push(`the judge failed its check (${summary.failedChecks.join(", ")})`);
  weighVerdicts(summary, reasons);
  if (summary.gates.some(({ held }) => !held) || summary.calls?.stopped !== undefined)
    reasons.wrong.push("verdicts are missing");
  for (const agreement of summary.agreement) weighAgreement(agreement, reasons);
  // another judge that agrees is no person
  if (summary.agreement.every(({ with: other }) => isStudentName(other) || isModelName(other)))
    reasons.weak.push("no people's labels to compare it with");
  return answer(reasons);
}

/** Share of agreement by chance above which both say nearly always the same, and kappa is about the few other pairs alone. */
const mostByChance = 0.9;

function weighAgreement({ with: other, share, kappa, pairs }: OutcomeAgreement, reasons: Reasons): void {
  const byChance = ((share.value ?? NaN) - (kappa.value ?? NaN)) / (1 - (kappa.value ?? NaN));
  if (byChance > mostByChance && !(isOf(kappa.low) && kappa.low >= goodKappa)) {
    reasons.weak.push(
      `${other} and the judge nearly always say the same (${formatShare(share.value!)} of ${formatNumbered(pairs, "pair", "pairs")}), which tells little of whether they agree`,
    );
    return;
  }
  const what = `its verdicts agree with ${other} by a kappa of ${numberOf(kappa)}, over ${formatNumbered(pairs, "pair", "pairs")}`;
  const isOfPeople = !isStudentName(other) && !isModelName(other); // another judge may be the one that is wrong
  if (isOfPeople && isOf(kappa.high) && kappa.high < goodKappa && isOf(kappa.value) && kappa.value < leastKappa)
    reasons.wrong.push(what);
  else if (isOf(kappa.low) && kappa.low >= goodKappa) reasons.for.push(what);
  else reasons.weak.push(what);
}

/**
 * Weighs an experiment: its rating and all its matches. Of published figures, only what they state can be weighed.
 *
 * @param people how far the judges agree with people's labels, where there are some
 */
export function weighExperiment(
  { arms, matches, benchmarks, losses, isPublished, contamination }: ExperimentResult,
  rate?: RateSummary,
  people: readonly OutcomeAgreement[] = [],
): Trust {
  const reasons: Reasons = { for: [], wrong: [], weak: [] };
  if (isPublished) {
    const unknown = [
      ...(matches.length > 0 ? ["neither replies nor the order of answers can be checked"] : []),
      ...(benchmarks?.length ? ["what models made of single items is not known"] : []),
    ];
    reasons.weak.push(`published figures were taken as they are${unknown.length > 0 ? `: ${unknown.join("; ")}` : ""}`);
    return answer(reasons);
  }
  if (matches.length === 0 && !benchmarks?.length && losses?.differences.length)
    reasons.weak.push(
      "no answers were compared, losses on held-out answers alone, which favour the style of these answers",
    );
  else if (matches.length === 0 && !benchmarks?.length) reasons.wrong.push("nothing was compared");
  else if (matches.length === 0)
    reasons.weak.push(
      `no answers were compared, benchmarks ${losses?.differences.length ? "and losses on held-out answers " : ""}alone`,
    );
  else if (people.length === 0) reasons.weak.push("no people's labels to compare the verdicts with");
  for (const agreement of people) weighAgreement(agreement, reasons);
  const judges = new Set(matches.map(({ judge }) => judge));
  const failures = new Map(matches.map(({ judge, failedChecks = [] }) => [judge, failedChecks]));
  for (const [judge, failed] of failures)
    if (failed.length > 0) reasons.wrong.push(`${judge} failed its check (${failed.join(", ")})`);
  for (const match of matches) {
    const own: Reasons = { for: [], wrong: [], weak: [] };
    weighVerdicts(match, own);
    if (match.missing !== undefined) own.wrong.push("verdicts are missing");
    const name =
      matches.length > 1 ? ` (${match.a} against ${match.b}${judges.size > 1 ? ` by ${match.judge}` : ""})` : "";
    for (const kind of ["wrong", "weak"] as const) reasons[kind].push(...own[kind].map((reason) => `${reason}${name}`));
    reasons.for.push(...own.for.filter((reason) => !reasons.for.includes(reason)));
  }
  for (const { arm, alarms = [] } of arms) reasons.weak.push(...alarms.map((alarm) => `${arm}: ${alarm}`));
  if (contamination)
    reasons.weak.push(
      `${formatNumbered(contamination.rows, "row", "rows")} of ${contamination.arms.join(", ")} ${contamination.rows === 1 ? "overlaps" : "overlap"} test prompts (contamination.json): models may have seen the tests`,
    );
  const rating = rate && weighRating(rate);
  if (rating?.answer === "no") reasons.wrong.push(...rating.against);
  else if (rating) reasons.weak.push(...rating.against);
  reasons.for.push(...(rating?.for ?? []));
  return answer(reasons);
}

function weighVerdicts(
  { judge, pooled }: Pick<ComparisonSummary, "judge" | "pooled">,
  { for: speaksFor, wrong, weak }: Reasons,
): void {
  const { orders, counts, length, identical } = pooled;
  const decided = counts.win + counts.tie + counts.lose;
  if (decided === 0) {
    wrong.push("no pair could be judged");
    return;
  }
  const undecided = counts.undecided / (decided + counts.undecided);
  if (undecided > manyUndecided) weak.push(`${formatShare(undecided)} of the pairs are undecided`);
  if (decided < fewPairs) weak.push(`only ${formatNumbered(decided, "pair is", "pairs are")} decided`);
  if (isStudentName(judge)) weak.push("the judge is a small model that imitates another: a first look, not a verdict");
  else {
    const { value, low, high } = orders.flipRate;
    const flips = `the judge contradicts itself in ${formatShare(value ?? 0)} of the pairs when the order is swapped`;
    const said = orders.first + orders.second + orders.draws;
    if (decided === identical && counts.undecided === 0) weak.push("all answers are the same");
    else if (said >= fewestSaid && orders.draws > mostDraws * said)
      wrong.push(
        `the judge calls ${formatShare(orders.draws / said)} of its verdicts a tie: one that tells no answers apart gives the same; look at its replies`,
      );
    else if (orders.pairs === 0) {
      const { low: least, high: most, value: share } = orders.firstShare;
      const isOneSided = isOf(least) && isOf(most) && (least > mostFirst || most < 1 - mostFirst);
      if (isOneSided)
        wrong.push(
          `only one order was judged, and it picks the answer shown ${least > mostFirst ? "first" : "second"} in ${formatShare(Math.max(share ?? 0, 1 - (share ?? 0)))} of them: the place alone may decide`,
        );
      else weak.push("only one order was judged: position bias is not corrected");
    } else if (isOf(low) && low > mostFlips) wrong.push(`${flips} (guessing: about half)`);
    else if (isOf(value) && value > manyFlips) weak.push(flips);
    else if (isOf(high) && high < mostFlips) speaksFor.push("both orders were judged and mostly agree");
    const first = orders.firstShare;
    if (
      orders.pairs > 0 &&
      isOf(first.low) &&
      isOf(first.high) &&
      (first.low > mostFirst || first.high < 1 - mostFirst)
    )
      weak.push(`it picks the answer shown ${first.low > mostFirst ? "first" : "second"} too often`);
  }
  if (!length) return;
  const { longerWins, controlledWinRate } = length;
  const { low: least, high: most } = controlledWinRate;
  const isEven = isOf(least) && isOf(most) && least <= 0.5 && most >= 0.5;
  if (isOf(longerWins.low) && longerWins.low > mostLonger) {
    const longer = `the longer answer wins ${formatShare(longerWins.value!)} of the decided pairs`;
    const isShown = pooled.conclusion === "better" || pooled.conclusion === "worse";
    if (longerWins.low > onlyLonger && isShown && isEven)
      wrong.push(`${longer}, and at equal length no side is shown to win: length alone would give this result`);
    else weak.push(longer);
  }
  if (!isOf(least) || !isOf(most)) return;
  if ((pooled.conclusion === "better" && most < 0.5) || (pooled.conclusion === "worse" && least > 0.5))
    weak.push("at equal length the other side wins");
}

function answer({ for: speaksFor, wrong, weak }: Reasons): Trust {
  return {
    answer: wrong.length > 0 ? "no" : weak.length > 0 ? "with care" : "yes",
    for: speaksFor,
    against: [...wrong, ...weak],
  };
}

/** An experiment's conclusion, and whether it is not to be trusted. The parameters are those of `weighExperiment`. */
export function tellExperiment(...[experiment, ...others]: Parameters<typeof weighExperiment>): string {
  const isClaim = experiment.matches.some(({ pooled: { conclusion } }) => /^(better|worse)$/.test(conclusion));
  return isClaim ? `${experiment.sentence}${warningOf(weighExperiment(experiment, ...others))}` : experiment.sentence;
}

/** What a conclusion ends with that is not to be trusted; else nothing. The reasons stand beside it. */
export function warningOf({ answer: given }: Trust): string {
  return given === "no" ? " This is not to be trusted." : "";
}

/** `No: the judge failed its check (separates). For it: every row has a score.` */
export function describeTrust({ answer: given, for: speaksFor, against }: Trust): string {
  const beginning = { yes: "Yes, as far as this run can tell", "with care": "With care", no: "No" }[given];
  const said = against.length > 0 ? `${beginning}: ${against.join("; ")}.` : `${beginning}.`;
  return speaksFor.length > 0 ? `${said} For it: ${speaksFor.join("; ")}.` : said;
}
