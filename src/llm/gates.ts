import type { Attempt } from "./attempt.ts";
import type { CallTally } from "./call-tally.ts";
import type { ChatModel, ModelServer } from "./chat-model.ts";
import type { Failure } from "./failure.ts";
import { firstSilenceMs, longestSilenceMs, type Stop } from "./give-up-policy.ts";
import { RateLimiter, type Estimate, type Passage, type RateLimiterOptions } from "./rate-limiter.ts";

/*
 * Where calls may go: a rate limiter for each server of a model, most models having one. Of several, a call goes to the one with the fewest
 * in flight. A server that answers nothing, or only complains, is left out, and tried again with one call at a time; one that refuses the key or has no such
 * model gets none any more.
 */

/** Attempts in a row that failed, after which a server is left out; one that is not reached is left out at once. */
const deadAfter = 3;
const firstRestMs = 1_000;
const longestRestMs = 60_000;

/** A server, and what is known of it. */
export interface Gate {
  /** Its address; undefined for a model with one. */
  readonly address: string | undefined;
  /** The model as this server is asked for it. */
  readonly model: ChatModel;
  readonly limiter: RateLimiter;
  replies: number;
  /** Builds of the model that it named. */
  readonly builds: Set<string>;
  failuresInARow: number;
  /** Until when it is left out; 0 while it is not. */
  restsUntil: number;
  restMs: number;
  /** Why it gets no calls any more. */
  refusal: string | undefined;
}

/** A call's place, while it has one. */
interface Entering {
  readonly estimate: Estimate;
  gate?: Gate | undefined;
  /** The server that it failed at: another one is asked, if there is one. */
  avoid?: Gate | undefined;
}

export class Gates {
  readonly #model: ChatModel;
  readonly #options: RateLimiterOptions;
  readonly #all = new Map<string, Gate>(); // by address
  #listed: readonly ModelServer[] = [];
  #open: readonly Gate[] = [];
  #silentSince: number | undefined;

  constructor(model: ChatModel, options: RateLimiterOptions) {
    this.#model = model;
    this.#options = options;
    this.#update();
  }

  /** Whether the model has, or may have, several servers. */
  get isPooled(): boolean {
    return this.#model.servers !== undefined;
  }

  get inFlight(): number {
    let sum = 0;
    for (const { limiter } of this.#all.values()) sum += limiter.inFlight;
    return sum;
  }

  /** How many calls may be in flight now. */
  get concurrency(): number {
    return this.#open.reduce((sum, { limiter }) => sum + limiter.concurrency, 0);
  }

  /** What went wrong last, or which limit all servers' calls wait for; undefined where nothing does. */
  describeTrouble(tally: Pick<CallTally, "trouble">, now: number): string | undefined {
    const limits = this.#open.map(({ limiter }) => limiter.heldBy(now));
    return (
      tally.trouble(now, this.concurrency) ?? (limits.every((limit) => limit !== undefined) ? limits[0] : undefined)
    );
  }

  /** How many servers there are. */
  get size(): number {
    return this.#open.length;
  }

  /** Lets a call in, and returns true, if a server has room for it: of those, the one with the fewest calls in flight. */
  tryEnter(call: Entering, now: number): boolean {
    this.#update();
    const full = new Set<Gate>();
    if (call.avoid && this.#open.some((gate) => gate !== call.avoid && isThere(gate))) full.add(call.avoid);
    for (;;) {
      let best: Gate | undefined;
      for (const gate of this.#open)
        if (!full.has(gate) && canTake(gate, now) && gate.limiter.inFlight < (best?.limiter.inFlight ?? Infinity))
          best = gate;
      if (!best) return false;
      if (best.limiter.tryEnter(call.estimate, now)) {
        call.gate = best;
        return true;
      }
      full.add(best);
    }
  }

  /** Undoes `tryEnter` for a call that was not made after all. */
  withdraw(call: Entering): void {
    call.gate!.limiter.withdraw(call.estimate);
    call.gate = undefined;
  }

  /** Ends a call's passage, and learns of its server. */
  leave(gate: Gate, attempt: Attempt, passage: Passage, now: number): void {
    gate.limiter.leave(passage, now);
    if (!this.isPooled) return;
    if ("reply" in attempt) {
      gate.replies++;
      if (attempt.reply.build !== undefined) gate.builds.add(attempt.reply.build);
      gate.failuresInARow = gate.restsUntil = gate.restMs = 0;
    } else this.#addFailure(gate, attempt, now);
    if (this.#open.some(isThere)) this.#silentSince = undefined;
    else this.#silentSince ??= now;
  }

  #addFailure(gate: Gate, failure: Failure, now: number): void {
    if (failure.kind === "stop" && !isAboutCall(failure, gate)) {
      gate.refusal ??= failure.detail;
      return;
    }
    if (failure.kind !== "retry" && gate.replies > 0) return; // an error about this request alone
    gate.failuresInARow++;
    const retryAfterMs = failure.kind === "retry" ? (failure.retryAfterMs ?? 0) : 0;
    const isUnreached = failure.kind === "retry" && failure.isUnreachable;
    if (!isUnreached && retryAfterMs <= longestRestMs && gate.failuresInARow < deadAfter) return;
    if (now < gate.restsUntil) return; // one of those that were in flight when it fell silent
    gate.restMs = gate.restMs === 0 ? firstRestMs : Math.min(longestRestMs, 2 * gate.restMs);
    gate.restsUntil = now + Math.max(gate.restMs, retryAfterMs);
  }

  /**
   * Why none of several servers will answer; undefined while one may.
   *
   * @param hasReplied whether one has, in this command
   */
  whyHopeless(now: number, hasReplied: boolean, lastFailure = "no reply"): Stop | undefined {
    if (!this.isPooled) return undefined;
    if (this.#open.every(({ refusal }) => refusal !== undefined)) {
      const refusals = this.#open.map(({ address, refusal }) => `${address}: ${refusal}`);
      return { detail: refusals.join("; "), isUsage: true };
    }
    const silentMs = this.#silentSince === undefined ? 0 : now - this.#silentSince;
    const longest = this.#model.servers?.silenceMs ?? longestSilenceMs;
    if (silentMs < (hasReplied ? longest : firstSilenceMs)) return undefined;
    const detail = `none of its ${this.#open.length} servers answers (${lastFailure})`;
    return { detail, isUsage: false, advice: "run the same command again later" };
  }

  /** Whether another server may take a call that this one failed at. */
  hasOthers(gate: Gate | undefined, failure: Failure): boolean {
    if (!this.isPooled || (gate && isAboutCall(failure, gate))) return false;
    const mayAnswer = failure.kind === "stop" ? ({ refusal }: Gate) => refusal === undefined : isThere; // one that rests may come back
    return this.#open.some((one) => one !== gate && mayAnswer(one));
  }

  /** Time at which a call may enter even if no other ends before; undefined if one must end first. */
  opensAt(estimate: Estimate, now: number): number | undefined {
    let at: number | undefined;
    for (const gate of this.#open) {
      if (gate.refusal !== undefined || (gate.restsUntil > 0 && gate.limiter.inFlight > 0)) continue;
      const opens = gate.limiter.opensAt(estimate, now);
      if (opens === undefined) continue;
      const here = Math.max(opens, gate.restsUntil);
      at = at === undefined ? here : Math.min(at, here);
    }
    return at;
  }

  /** What a reader of the results needs to know of several servers, a line each. */
  notes(): string[] {
    if (!this.isPooled) return [];
    const gates = [...this.#all.values()];
    const asked = gates.filter(({ replies }) => replies > 0);
    const builds = new Set(gates.flatMap((gate) => [...gate.builds]));
    return [
      ...(asked.length > 0
        ? [`answered by ${asked.map(({ address, replies }) => `${address} (${replies} replies)`).join(", ")}`]
        : []),
      ...gates.flatMap(({ address, refusal }) =>
        refusal === undefined ? [] : [`${address} was left out: ${refusal}`],
      ),
      ...(this.#open.some(({ restsUntil }) => restsUntil > 0)
        ? [
            `without an answer in the end: ${this.#open.flatMap(({ address, restsUntil }) => (restsUntil > 0 ? [address] : [])).join(", ")}`,
          ]
        : []),
      ...(builds.size > 1
        ? [
            `its servers tell different builds of the model (${[...builds].join(", ")}); replies are kept under the model's name alone, so see that all are the same model`,
          ]
        : []),
    ];
  }

  /** Takes over the servers as they are listed now. */
  #update(): void {
    const listed = this.#model.servers?.current() ?? [];
    if (this.#all.size > 0 && listed === this.#listed) return;
    this.#listed = listed;
    if (!this.#model.servers) {
      this.#open = [this.#gateOf(undefined, this.#model)];
      return;
    }
    this.#open = listed.map(({ address, ...own }) => this.#gateOf(address, { ...this.#model, ...own }));
    if (this.#open.some(isThere)) this.#silentSince = undefined;
  }

  #gateOf(address: string | undefined, model: ChatModel): Gate {
    const known = this.#all.get(address ?? "");
    if (known) return known;
    const gate: Gate = {
      address,
      model,
      limiter: new RateLimiter(this.#options),
      replies: 0,
      builds: new Set(),
      failuresInARow: 0,
      restsUntil: 0,
      restMs: 0,
      refusal: undefined,
    };
    this.#all.set(address ?? "", gate);
    return gate;
  }
}

/** Whether a server may get a call now. One that is left out gets one at a time, when its rest is over. */
function canTake({ refusal, restsUntil, limiter }: Gate, now: number): boolean {
  return refusal === undefined && (restsUntil === 0 || (now >= restsUntil && limiter.inFlight === 0));
}

/** Whether a server is neither left out nor refused. */
function isThere({ refusal, restsUntil }: Gate): boolean {
  return refusal === undefined && restsUntil === 0;
}

/** Whether what would stop a model that never answered is about one call, since its server has answered others. */
function isAboutCall(failure: Failure, { replies }: Gate): boolean {
  return failure.kind === "stop" && failure.isRowPossible === true && replies > 0;
}
