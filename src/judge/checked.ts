import type { Example } from "../dataset/example.ts";
import { AlpagasusError, UsageError } from "../errors.ts";
import { readAnchors, type Anchor } from "../health/anchors.ts";
import { examineBuild, examineRatings, findDrift, type AnchorRatings, type HealthCheck } from "../health/examine.ts";
import { addCalls } from "../llm/calls-report.ts";
import type { CallsReport } from "../llm/engine.ts";
import { requestKey } from "../llm/request.ts";
import type { Rating } from "../run/rating.ts";
import type { LlmJudge } from "./llm.ts";

/** A long rating is not begun, since its judge does not judge. */
export class JudgeCheckError extends AlpagasusError {
  override readonly exitCode = 3;
  override name = "JudgeCheckError";
}

/** How the anchors were rated, and by which build of the model. */
export interface Probe {
  readonly ratings: AnchorRatings;
  readonly builds: readonly string[];
  readonly calls: CallsReport;
}

const leastCalls = 1000; // to be made: for fewer, forty more are too dear

/**
 * Has a judge rate the anchors under a name: what was asked under it before comes from the store, whatever else is there.
 *
 * @param judge opened for that name
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
 * A judge that is looked at before a long rating and after it: it rates the anchors first, and is not asked about anything
 * else when it does not tell good responses from bad ones, does what rows tell it to, or cannot be read. At the end it rates
 * them again; when it says something else then, that is an alarm.
 *
 * @param probe rates the anchors under a name
 */
export async function createCheckedJudge<J extends LlmJudge>(
  judge: J,
  probe: (name: string, anchors: readonly Anchor[]) => Promise<Probe>,
): Promise<J> {
  const anchors = await readAnchors();
  const builds = judge.store.builds(judge.model.identity);
  const scale = judge.scale!; // a rubric has one
  const alarms: string[] = [];
  let checks: readonly HealthCheck[] | undefined;
  let start: Probe | undefined;
  const probes: Probe[] = [];
  const nameOf = (when: "start" | "end") => `check:${judge.purse}:${when}`;

  const isStored = (example: Example, name?: string): boolean =>
    judge.ask(example).requests.every((request) => {
      const key = requestKey(judge.model.identity, name === undefined ? request : { ...request, sample: name });
      return judge.store.stateOf(key) !== undefined;
    });
  /** Whether enough is left to ask, or a rating goes on that was long. */
  let left = 0; // over all that it is asked in turn
  const isLong = async (examples: AsyncIterable<readonly Example[]>): Promise<boolean> => {
    if (isStored(anchors[0]!, nameOf("start"))) return true;
    for await (const batch of examples) {
      for (const example of batch) {
        try {
          if (!isStored(example) && ++left >= leastCalls) return true;
        } catch {
          return false; // a row that cannot be shown is met when it is its turn
        }
      }
    }
    return false;
  };
  const ask = async (when: "start" | "end"): Promise<Probe | undefined> => {
    const found = await probe(nameOf(when), anchors);
    probes.push(found);
    return found.ratings.some(({ state }) => state === "pending") ? undefined : found; // interrupted, or no money
  };

  return {
    ...judge,
    get notes() {
      return judge.notes;
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
      if (!start && (await isLong(examples()))) {
        start = await ask("start");
        if (start) {
          const build = examineBuild(builds, start.builds);
          checks = [...examineRatings(anchors, start.ratings, scale), build];
          if (!build.held) alarms.push(`${judge.name}: ${build.message}`);
          const failed = checks.filter((check) => !check.held && check !== build);
          if (failed.length > 0)
            throw new JudgeCheckError(
              `${judge.name}: not asked about the data, since it failed its check: ${failed.map(({ name, message }) => `${name}: ${message}`).join("; ")}. Look at it with alpagasus check-judge, or rate anyway with --no-check`,
            );
        }
      }
      await judge.prepare?.(examples, onProgress);
    },
    async finish() {
      if (!start || judge.calls().stopped !== undefined) return;
      const end = await ask("end");
      const drift = end && findDrift(start.ratings, end.ratings, scale);
      if (drift !== undefined) alarms.push(`${judge.name}: ${drift}`);
      const readable = end && examineRatings(anchors, end.ratings, scale)[0]!;
      if (readable && !readable.held) alarms.push(`${judge.name}: at the end, ${readable.message}`);
      const other = end?.builds.filter((build) => !start!.builds.includes(build)) ?? [];
      if (other.length > 0 && start.builds.length > 0)
        alarms.push(
          `${judge.name}: ${start.builds.join(", ")} answered at the beginning, ${other.join(", ")} at the end`,
        );
    },
  };
}
