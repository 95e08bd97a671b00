import type { PendingCall } from "./admission.ts";
import type { CallQueue } from "./call-queue.ts";
import type { CallTally, StopReason } from "./call-tally.ts";
import { withoutReply, withReply, type Endings } from "./endings.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Failure } from "./failure.ts";
import type { Gates } from "./gates.ts";
import { decideNextStep, defaultMaxAttempts, type ProviderHealth, type Stop } from "./give-up-policy.ts";
import type { ChatModel } from "./chat-model.ts";
import type { Reply } from "./reply.ts";
import { describeOverReserve, overReserveAdvice, replyCost } from "./request-cost.ts";
import type { UsageEstimator } from "./usage-estimator.ts";

/** The parts of the engine that handling an attempt uses. */
interface HandlerContext {
  readonly model: ChatModel;
  readonly options: EngineOptions;
  /** In billionths of a US dollar; Infinity without a budget. */
  readonly budget: number;
  readonly queue: CallQueue<PendingCall>;
  readonly endings: Endings;
  readonly health: ProviderHealth;
  readonly estimator: UsageEstimator;
  readonly tally: CallTally;
  readonly gates: Gates;
  readonly stopped: () => StopReason | undefined;
  readonly hasFailed: () => boolean;
  /** Stops the engine for good. */
  readonly fail: (stop: Stop | undefined) => void;
}

/** Advice when a reply cost more than was reserved for it. What gives no text does not reason. */
function adviceOn({ request }: PendingCall): string {
  return request.sampling.maxOutputTokens === 0 ? "go on without --budget" : overReserveAdvice;
}

/** Decides what a reply or a failed attempt means for its call: stored, tried again, given up, or the end of the run. */
export class AttemptHandler {
  readonly #context: HandlerContext;
  #doubtful: { readonly call: PendingCall; readonly detail: string }[] = [];

  constructor(context: HandlerContext) {
    this.#context = context;
  }

  get hasDoubtful(): boolean {
    return this.#doubtful.length > 0;
  }

  storeReply(call: PendingCall, reply: Reply, latencyMs: number): void {
    const { model, budget, endings, health, estimator, tally, fail } = this.#context;
    const { usage } = reply;
    const cost = replyCost(model.price, usage, call.highestCost);
    health.addReply(performance.now());
    for (const warning of reply.warnings) tally.warnings.add(warning);
    if (usage) estimator.add(call.bytes, usage);
    if (call.request.topLogprobs !== undefined) fail(health.addLogprobs(reply.logprobs !== undefined));
    const excess = budget < Infinity ? describeOverReserve(cost, call.highestCost) : undefined;
    if (excess !== undefined) fail({ detail: excess, isUsage: false, advice: adviceOn(call) });
    endings.finish(call, withReply(reply, cost, Math.round(latencyMs)));
  }

  /** Retries, gives up, or stops the engine. */
  handleFailure(call: PendingCall, failure: Failure, now: number): void {
    const { options, endings, health, queue, tally, gates, fail } = this.#context;
    const where = call.gate?.address === undefined ? "" : `${call.gate.address}: `;
    if (failure.kind === "retry") tally.addFailedAttempt(`${where}${failure.detail}`, performance.now());
    const step = decideNextStep(failure, {
      hasOthers: gates.hasOthers(call.gate, failure),
      hasMoved: call.hasMoved,
      attempts: call.attempts,
      congestions: call.congestions,
      maxAttempts: options.maxAttempts ?? defaultMaxAttempts,
      // of several servers, what stops one is about that one
      hasAnswered: gates.isPooled && failure.kind === "stop" ? (call.gate?.replies ?? 0) > 0 : health.hasAnswered,
      random: (options.random ?? Math.random)(),
    });
    const perhapsPaid = failure.mayBePaid ? call.highestCost : 0;
    if (step.kind === "stop") fail(step.stop);
    const stopped = this.#context.stopped();
    if (step.kind === "stop" || (failure.kind === "retry" && stopped))
      return endings.leavePending(call, perhapsPaid, stopped);
    if (step.kind === "end") return endings.finish(call, withoutReply(step.state, step.detail), perhapsPaid);
    if (step.kind === "give up") {
      fail(health.addGivenUp(call.firstSentAt, step.detail));
      return endings.finish(call, withoutReply("failed", step.detail), perhapsPaid);
    }
    endings.settleCost(call, perhapsPaid);
    if (step.kind === "move") {
      call.attempts--;
      call.hasMoved ||= failure.kind !== "retry" && failure.kind !== "stop";
      call.avoid = call.gate;
      call.notBefore = now;
      return queue.add(call);
    }
    if (step.kind === "doubt") {
      this.#doubtful.push({ call, detail: step.detail });
      return fail(health.addDoubt(step.detail));
    }
    if (step.isCongestion) call.congestions++;
    call.avoid = call.gate;
    call.notBefore = now + step.delayMs;
    queue.add(call);
  }

  /**
   * Fails malformed-request calls once another call was answered, or once none remain that could be.
   *
   * @param isAlone whether no other call is in flight or queued
   */
  settleDoubtful(isAlone: boolean): void {
    const { endings, health, hasFailed, stopped } = this.#context;
    if (this.#doubtful.length === 0 || !(health.hasAnswered || isAlone || stopped())) return;
    for (const { call, detail } of this.#doubtful.splice(0)) {
      if (hasFailed()) endings.leavePending(call, 0, stopped());
      else endings.finish(call, withoutReply("failed", detail));
    }
  }
}
