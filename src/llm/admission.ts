import type { CallStore } from "./call-store.ts";
import type { StoredCall } from "./stored-call.ts";
import type { Gate } from "./gates.ts";
import type { Estimate } from "./rate-limiter.ts";
import type { CallOutcome } from "./reply.ts";
import type { Price } from "./price.ts";
import { highestCost } from "./request-cost.ts";
import { promptBytes, type ModelRequest } from "./request.ts";

/** A call that has no outcome yet. */
export interface PendingCall {
  readonly key: string;
  readonly request: ModelRequest;
  /** UTF-8 bytes of its prompt. */
  readonly bytes: number;
  /** The most that one attempt can cost, in billionths of a US dollar. */
  readonly highestCost: number;
  readonly finish: (outcome: CallOutcome) => void;
  estimate: Estimate;
  attempts: number;
  /** Attempts that failed because of the provider's load. */
  congestions: number;
  /** When it was first sent, in milliseconds of the monotonic clock. */
  firstSentAt: number;
  /** Earliest time to send it; 0 for a call that never had to wait. */
  notBefore: number;
  isClaimed: boolean;
  /** The server that it has a place at, or was sent to last. */
  gate?: Gate | undefined;
  /** The server that it failed at last, where others may do better. */
  avoid?: Gate | undefined;
  /** Whether it was sent to another server because one does not take it. */
  hasMoved?: boolean | undefined;
}

/** A call that is new to the engine. */
export function createCall(
  key: string,
  request: ModelRequest,
  price: Price | undefined,
  finish: (outcome: CallOutcome) => void,
): PendingCall {
  const bytes = promptBytes(request);
  return {
    key,
    request,
    bytes,
    highestCost: highestCost(price, request, bytes),
    finish,
    estimate: { inputTokens: 0, outputTokens: 0 },
    attempts: 0,
    congestions: 0,
    firstSentAt: 0,
    notBefore: 0,
    isClaimed: false,
  };
}

/** What a turn does with the calls that the rate limiter has let through. */
export interface Admission {
  /** To be sent. */
  readonly toSend: PendingCall[];
  /** Another process has made them meanwhile. */
  readonly found: { readonly call: PendingCall; readonly stored: StoredCall }[];
  /** Another process is making them. */
  readonly elsewhere: PendingCall[];
  /** The money for them is reserved by other calls, and may become free. */
  readonly short: PendingCall[];
  /** They cost more than the budget has left beside what batches have reserved. */
  readonly unaffordable: PendingCall[];
  /** They are in a batch at the provider. */
  readonly inBatches: PendingCall[];
  /** Whether the budget has too little left for any call. */
  readonly isOverBudget: boolean;
}

export interface AdmissionOptions {
  readonly store: CallStore;
  readonly purse: string;
  /** In billionths of a US dollar; Infinity without a budget. */
  readonly budget: number;
  /** The lowest cost of any call so far. */
  readonly leastCost: number;
  /** The outcome that another process stored for a call; undefined if no other process uses the store. */
  readonly findElsewhere: ((key: string) => StoredCall | undefined) | undefined;
  /** The engine that claims the calls. */
  readonly claimant: object;
}

const noMoney = { paid: 0, perhapsPaid: 0, reserved: 0, batched: 0 };

/**
 * Within a transaction: claims calls for this process and reserves their money. It changes nothing but the store, so that
 * a transaction that fails leaves nothing to undo.
 */
export function admitCalls(calls: readonly PendingCall[], options: AdmissionOptions): Admission {
  const { store, purse, budget, leastCost, findElsewhere, claimant } = options;
  const toSend: PendingCall[] = [];
  const found: { call: PendingCall; stored: StoredCall }[] = [];
  const elsewhere: PendingCall[] = [];
  const short: PendingCall[] = [];
  const unaffordable: PendingCall[] = [];
  const inBatches: PendingCall[] = [];
  if (calls.length === 0) return { toSend, found, elsewhere, short, unaffordable, inBatches, isOverBudget: false };
  const { paid, perhapsPaid, reserved, batched } = budget < Infinity ? store.purse(purse) : noMoney;
  const left = budget - paid - perhapsPaid - batched; // nothing here waits for batches, which may take a day
  let free = left - (reserved - batched);
  const hasBatches = !store.batches.isEmpty;
  for (const call of calls) {
    const stored = findElsewhere?.(call.key);
    if (stored) found.push({ call, stored });
    else if (hasBatches && store.batches.batchOf(call.key) !== undefined) inBatches.push(call);
    else if (call.highestCost > left) unaffordable.push(call);
    else if (call.highestCost > free) short.push(call);
    else if (store.claim(call.key, purse, call.highestCost, claimant)) {
      toSend.push(call);
      free -= call.highestCost;
    } else elsewhere.push(call);
  }
  if (short.length > 0) store.buryDead(); // frees what dead processes had reserved
  return { toSend, found, elsewhere, short, unaffordable, inBatches, isOverBudget: left + batched < leastCost };
}
