import type { Example } from "../dataset/example.ts";
import { AlpagasusError, UsageError } from "../errors.ts";
import { readAnchors, type Anchor } from "../health/anchors.ts";
import { examineBuild, examineRounds, isDoubtful } from "../health/examine.ts";
import { ratesThough } from "../health/trust.ts";
import { findDrift, type Drift } from "../health/drift.ts";
import type { AnchorRatings, HealthCheck } from "../health/figures.ts";
import { addCalls, type CallsReport } from "../llm/call-tally.ts";
import { requestKey } from "../llm/request.ts";
import type { Rating } from "../run/rating.ts";
import type { LlmJudge } from "./llm.ts";

/** A long rating was not started, because its judge failed its check or could not be checked. */
export class JudgeCheckError extends AlpagasusError {
  override readonly exitCode = 3;
  override name = "JudgeCheckError";
}

/** One round of ratings of the anchors, the builds of the model that gave them, and the calls made. */
export interface Probe {
  readonly ratings: AnchorRatings;
  readonly builds: readonly string[];
  readonly calls: CallsReport;
}

const leastCalls = 1000; // still to be made; for fewer, about sixty more for the check are too expensive
export const leastRounds = 2; // a single round cannot show a judge's noise
export const mostRounds = 3;
const mostEndRounds = 2;

/**
 * Has a judge rate the anchors under a probe name. Only replies stored under this name are reused.
 *
 * @param judge opened with that name as its `probe`
 */
export async function probeJudge(judge: LlmJudge, anchors: readonly Anchor[]): Promise<Probe> {
  const ratings: Rating[] = [];
  async function* inOneBatch(): AsyncGenerator<readonly Example[]> {
    yield anchors;
  }
  for await (const some of judge.rate(inOneBatch())) ratings.push(...some);
  const builds = ratings.flatMap(({ call }) => (call === undefined ? [] : (judge.store.find(call)?.build ?? [])));
  return { ratings, builds: [...new Set(builds)], calls: judge.calls() };
}

/**
 * Adds checks to a judge, before and after each long stretch of new calls.
 *
 * At the start the judge rates the anchors twice, and a third time if doubt remains. It rates nothing else when it cannot
 * tell good responses from bad ones, follows instructions inside rows, gives unreadable replies or is too noisy (see
 * `examineRounds`). At the end it rates the anchors again; a change beyond its own noise is an alarm.
 *
 * Later calls are a new stretch, with new replies on the anchors. An interrupted stretch continues with the replies it has;
 * anchors whose replies did not arrive are asked again.
 *
 * @param probe rates the anchors under a probe name
 * @param askAgain check again a judge that failed the check of an earlier command
 * @param checkCommand shows the check's replies, for messages
 * @param isOff ask nothing, and stop nothing: only say that it was not checked, or that it failed a check that is in the store
 */
export async function createCheckedJudge<J extends LlmJudge>(
  judge: J,
  probe: (name: string, anchors: readonly Anchor[]) => Promise<Probe>,
  {
    askAgain = false,
    isOff = false,
    checkCommand = "alpagasus check-judge",
  }: { readonly askAgain?: boolean | undefined; readonly isOff?: boolean; readonly checkCommand?: string } = {},
): Promise<J> {
  const anchors = await readAnchors();
  const builds = judge.store.builds(judge.model.identity);
  const scale = judge.scale!; // every rubric has one
  const alarms: string[] = [];
  let checks: readonly HealthCheck[] | undefined;
  let start: readonly Probe[] | undefined;
  const probes: Probe[] = [];
  const nameOf = (stretch: number, when: "start" | "end", round: number) =>
    `check:${judge.purse}:${stretch}:${when}:${round}`;

  /** How many of the replies on a row are not in the store. @param name of a probe */
  const countNew = (example: Example, name?: string): number => {
    const keys = judge
      .ask(example)
      .requests.map((request) =>
        requestKey(judge.model.identity, name === undefined ? request : { ...request, sample: name }),
      );
    return keys.filter((key) => judge.store.stateOf(key) === undefined).length;
  };
  const canBeAsked = anchors.some((anchor) => judge.ask(anchor).requests.length > 0); // not where prompts must be shorter
  const isProbed = (name: string) => canBeAsked && anchors.every((anchor) => countNew(anchor, name) === 0);
  let stretch = 0; // the first one without a check at its end
  while (isProbed(nameOf(stretch, "end", 1))) stretch++;
  /** Whether to check this stretch: it is long, or goes on. If not, goes back to the one before, if any, to report its check. */
  const chooseStretch = async (examples: AsyncIterable<readonly Example[]>): Promise<boolean> => {
    if (await isLongOrBegun(examples)) return true;
    if (stretch === 0) return false;
    stretch--;
    return true;
  };
  let left = 0; // new calls, summed over all calls of `prepare`
  /** Whether enough new calls are left, or a long stretch was begun before. */
  const isLongOrBegun = async (examples: AsyncIterable<readonly Example[]>): Promise<boolean> => {
    const isBegun = isProbed(nameOf(stretch, "start", 1));
    for await (const batch of examples) {
      for (const example of batch) {
        try {
          left += countNew(example);
          if (left >= leastCalls || (isBegun && left > 0)) return true;
        } catch {
          return isBegun; // a row that cannot be rendered fails later, when it is rated
        }
      }
    }
    return isBegun;
  };
  /** Has the anchors rated once; undefined when interrupted or out of budget. */
  const probeRound = async (when: "start" | "end", round: number): Promise<Probe | undefined> => {
    const found = await probe(nameOf(stretch, when, round), anchors);
    probes.push(found);
    return found.ratings.some(({ state }) => state === "pending") ? undefined : found;
  };
  const examine = (rounds: readonly Probe[]) =>
    examineRounds(
      anchors,
      rounds.map(({ ratings }) => ratings),
      scale,
    );

  /**
   * Has the anchors rated until no check is doubtful, at most three times, and gives the checks; undefined when interrupted.
   * A failure found by an earlier command is reported again, or with `askAgain` checked again.
   */
  async function checkAtStart(): Promise<readonly HealthCheck[] | undefined> {
    const rounds: Probe[] = [];
    for (let round = 1; round <= mostRounds; round++) {
      const found = await probeRound("start", round);
      if (!found) return undefined;
      rounds.push(found);
      const own = round < leastRounds ? [] : examine(rounds);
      if (round < leastRounds || (isDoubtful(own) && round < mostRounds)) continue;
      if (askAgain && isDoubtful(own) && rounds.every(({ calls }) => calls.made === 0)) {
        stretch++;
        return checkAtStart();
      }
      start = rounds;
      return own;
    }
    return undefined;
  }

  let isUnchecked: (made: number) => boolean = () => false; // whether so many calls were made without a check
  /** Without asking anything: what an earlier check of this run found. */
  async function lookBack(): Promise<void> {
    const rounds: Probe[] = [];
    let latest = 0;
    while (isProbed(nameOf(latest + 1, "start", 1))) latest++;
    for (let round = 1; round <= mostRounds && isProbed(nameOf(latest, "start", round)); round++)
      rounds.push(await probe(nameOf(latest, "start", round), anchors));
    if (rounds.length >= leastRounds) {
      for (const { name, message } of examine(rounds).filter(({ held, isUnknown }) => !held && !isUnknown))
        alarms.push(`${judge.name} ${ratesThough}: ${name}: ${message}`);
    } else isUnchecked = (made) => made >= (rounds.length > 0 ? 1 : leastCalls);
  }

  return {
    ...judge,
    get notes() {
      const unchecked = `${judge.name} was not checked before it rated (--no-check)`;
      return isUnchecked(judge.calls().made) ? [...judge.notes, unchecked] : judge.notes;
    },
    get alarms() {
      return alarms;
    },
    get checks() {
      return checks;
    },
    calls: () => probes.map(({ calls }) => calls).reduce(addCalls, judge.calls()),
    async prepare(examples, onProgress) {
      if (judge.problem !== undefined) throw new UsageError(judge.problem);
      if (isOff) {
        await lookBack();
        return judge.prepare?.(examples, onProgress);
      }
      if (!start && (await chooseStretch(examples()))) {
        const found = await checkAtStart();
        if (found) {
          const build = examineBuild(builds, [...new Set(start!.flatMap((one) => one.builds))]);
          checks = [...found, build];
          if (!build.held) alarms.push(`${judge.name}: ${build.message}`);
          if (left > 0) expectHealthy(judge.name, found, checkCommand);
          else
            for (const check of found.filter(({ held }) => !held))
              alarms.push(`${judge.name}: ${check.name}: ${check.message}`);
        }
      }
      await judge.prepare?.(examples, onProgress);
    },
    async finish() {
      if (isOff || !start || judge.calls().stopped !== undefined) return;
      const ratingsOf = (all: readonly Probe[]) => all.map(({ ratings }) => ratings);
      const end: Probe[] = [];
      let drift: Drift = { isStirred: true };
      for (let round = 1; round <= mostEndRounds && drift.isStirred; round++) {
        const found = await probeRound("end", round);
        if (!found) {
          alarms.push(
            `${judge.name}: the check at the end of the rating could not be completed; run the same command again to complete it`,
          );
          return;
        }
        end.push(found);
        drift = findDrift(ratingsOf(start), ratingsOf(end), scale);
      }
      if (end.length === mostEndRounds && drift.alarm !== undefined) alarms.push(`${judge.name}: ${drift.alarm}`);
      const readable = examineRounds(anchors, ratingsOf(end), scale)[0]!;
      if (!readable.held && !readable.isUnknown) alarms.push(`${judge.name}: at the end, ${readable.message}`);
      const before = start.flatMap((one) => one.builds);
      const other = [...new Set(end.flatMap((one) => one.builds))].filter((build) => !before.includes(build));
      if (other.length > 0 && before.length > 0)
        alarms.push(
          `${judge.name}: ${[...new Set(before)].join(", ")} answered at the beginning, ${other.join(", ")} at the end`,
        );
    },
  };
}

/** @throws JudgeCheckError when a check failed, or is unknown because too few replies arrived */
function expectHealthy(name: string, checks: readonly HealthCheck[], checkCommand: string): void {
  const listChecks = (some: readonly HealthCheck[]) =>
    some.map((check) => `${check.name}: ${check.message}`).join("; ");
  const failed = checks.filter(({ held, isUnknown }) => !held && !isUnknown);
  if (failed.length > 0)
    throw new JudgeCheckError(
      `${name}: did not rate the data, because it failed its check: ${listChecks(failed)}. See details with ${checkCommand}; check it again with --retry-failed, or rate without the check with --no-check (in a recipe, rate: { check: false })`,
    );
  const unknown = checks.filter(({ isUnknown }) => isUnknown);
  if (unknown.length > 0)
    throw new JudgeCheckError(
      `${name}: did not rate the data, because its check could not be completed: ${listChecks(unknown)}. Run the same command again to ask for the missing replies, or rate without the check with --no-check (in a recipe, rate: { check: false })`,
    );
}
