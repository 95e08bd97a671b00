import { AlpagasusError, messageOf } from "../errors.ts";
import { formatNumbered } from "../format.ts";
import type { PendingCall } from "./admission.ts";
import type { CallStore } from "./call-store.ts";
import type { StoredCall } from "./stored-call.ts";
import type { CallTally } from "./call-tally.ts";
import type { Stop } from "./give-up-policy.ts";
import type { CallOutcome, Reply } from "./reply.ts";

/** Details of `pending` outcomes, by reason. */
export const pendingDetails = {
  interrupted: "interrupted before the call was made",
  budget: "the budget was reached before the call was made",
  unaffordable: "its highest possible cost is more than the budget has left",
  failure: "the run stopped before it was asked",
  batches: "in a batch that has not ended",
};

/** A change to write in the next turn, and what to do once it is on disk. */
export interface Ending {
  readonly call: PendingCall;
  /** Whether it is a reply of the model. */
  readonly isReply?: boolean | undefined;
  readonly write: () => void;
  readonly tell: () => void;
}

/**
 * Collects how calls end. Each change is written to the store in the next turn's transaction, and reported once it is on
 * disk.
 */
export class Endings {
  readonly #store: CallStore;
  readonly #purse: string;
  readonly #model: string;
  readonly #tally: CallTally;
  #list: Ending[] = [];

  /** @param model its identity */
  constructor({ store, purse, model, tally }: { store: CallStore; purse: string; model: string; tally: CallTally }) {
    this.#store = store;
    this.#purse = purse;
    this.#model = model;
    this.#tally = tally;
  }

  get isEmpty(): boolean {
    return this.#list.length === 0;
  }

  takeAll(): Ending[] {
    return this.#list.splice(0);
  }

  putBack(endings: readonly Ending[]): void {
    this.#list.unshift(...endings);
  }

  /** Ends a call with its outcome, which is written in the next turn and reported after it. */
  finish(
    call: PendingCall,
    outcome: Omit<StoredCall, "key" | "model" | "promptBytes" | "attempts">,
    perhapsPaid = 0,
  ): void {
    const { key, bytes: promptSize, attempts } = call;
    const stored: StoredCall = { key, model: this.#model, promptBytes: promptSize, attempts, ...outcome };
    this.#list.push({
      call,
      isReply: outcome.state === "replied",
      write: () => {
        if (perhapsPaid > 0) this.#store.settle(call.key, this.#purse, perhapsPaid);
        this.#store.save(stored, this.#purse);
      },
      tell: () => {
        this.#tally.addOutcome(stored, perhapsPaid);
        call.finish(outcomeOf(stored));
      },
    });
  }

  /** Frees the money that an attempt had reserved, and books what it may have cost. */
  settleCost(call: PendingCall, perhapsPaid: number): void {
    this.#list.push({
      call,
      write: () => this.#store.settle(call.key, this.#purse, perhapsPaid),
      tell: () => (this.#tally.perhapsPaid += perhapsPaid),
    });
  }

  /** Ends a call without an outcome; another run makes it. */
  leavePending(call: PendingCall, perhapsPaid: number, why: keyof typeof pendingDetails = "interrupted"): void {
    this.release(call, perhapsPaid, () =>
      call.finish({ state: "pending", key: call.key, detail: pendingDetails[why] }),
    );
  }

  /** Frees the claim and settles its cost, then runs `tell`. */
  release(call: PendingCall, perhapsPaid: number, tell: () => void): void {
    this.#list.push({
      call,
      write: () => {
        if (!call.isClaimed) return;
        this.#store.settle(call.key, this.#purse, perhapsPaid);
        this.#store.release(call.key);
      },
      tell: () => {
        this.#tally.perhapsPaid += perhapsPaid;
        tell();
      },
    });
  }
}

export function outcomeOf({ key, state, text, logprobs, finish, detail }: StoredCall): CallOutcome {
  return state === "replied"
    ? { state, key, text, finish: finish ?? "other", logprobs }
    : { state, key, detail: detail ?? "no reply" };
}

/** How a call ends that has a reply, for the store. */
export function withReply(
  reply: Reply,
  cost: number | null,
  latencyMs: number,
): Omit<StoredCall, "key" | "model" | "promptBytes" | "attempts"> {
  const { text, logprobs, finish, build = null, usage = null } = reply;
  return { state: "replied", text, logprobs, finish, detail: null, build, usage, cost, latencyMs };
}

export function withoutReply(
  state: "failed" | "refused",
  detail: string,
): Omit<StoredCall, "key" | "model" | "promptBytes" | "attempts"> {
  return { state, text: "", finish: null, detail, build: null, usage: null, cost: 0, latencyMs: 0 };
}

/** While the store cannot be written. */
export const writing = { tries: 10, againMs: 1_000 } as const;

/** Why nothing more is sent, where the store's file is not at its place any more: replies would be lost. */
export function goneStore({ isGone, path }: CallStore): Stop | undefined {
  return isGone
    ? {
        isUsage: false,
        detail: `${path}: the call store was removed, or another put in its place, while this command ran; its replies are written there again (or beside it, as .rescued), so run the same command again`,
      }
    : undefined;
}

/** @param lost how many replies of the model were given up */
export function unwritableStore({ path }: CallStore, cause: unknown, lost = 0): AlpagasusError {
  const isBusy = /locked|busy/i.test(messageOf(cause));
  const advice = isBusy ? "another program holds it: end that" : "make room";
  return new AlpagasusError(
    `${path}: the call store cannot be written (${messageOf(cause)}); ${lost > 0 ? `${formatNumbered(lost, "reply", "replies")} that came meanwhile could not be kept, and may be paid; ` : ""}${advice}, then run the same command again`,
    { cause },
  );
}
