import { AlpagasusError, messageOf, UsageError } from "../errors.ts";
import type { OpenBatch } from "../llm/batches/batch-book.ts";
import { CallStore, defaultStorePath } from "../llm/call-store.ts";
import { askTimeoutMs } from "../llm/batches/policy.ts";
import { readFailure } from "../llm/failure.ts";
import { openModel } from "../llm/open-model.ts";
import { nanosPerUsd } from "../llm/price.ts";

/** A batch at a provider whose results have not been fetched. */
export interface BatchStatus {
  /** Our own name of it. */
  readonly id: string;
  readonly model: string;
  /** The provider's; null when whoever handed it in was killed before it was known. */
  readonly providerId: string | null;
  readonly calls: number;
  /** Calls without an outcome. */
  readonly left: number;
  /** What those may cost at most; null without a price. */
  readonly reservedUsd: number | null;
  /** ISO 8601. */
  readonly begunAt: string;
  readonly state: BatchState;
  /** Why it cannot be fetched, or was not cancelled. */
  readonly problem: string | null;
}

/**
 * What is known of a batch here, by what is written down; `docs/batches.md` has them as a diagram.
 *
 * - `handing in`: a process is at it.
 * - `not sent`: whoever was to hand it in was stopped before.
 * - `not confirmed`: it was sent, and its name never arrived.
 * - `under way`: at the provider, at work or ended.
 * - `not given out`: the provider does not know it, or does not show it to the key.
 */
export type BatchState = "handing in" | "not sent" | "not confirmed" | "under way" | "not given out";

/** What came of asking a provider to stop a batch. */
export interface CancelledBatch extends BatchStatus {
  /** `kept`: there is nothing at the provider to stop, or it could not be asked; `problem` tells. */
  readonly outcome: "asked to stop" | "had ended" | "kept";
}

export interface BatchesOptions {
  /** The call store; `.alpagasus/calls.sqlite` when left out. */
  readonly store?: string;
  readonly environment?: NodeJS.ProcessEnv;
}

/** The batches that a store waits for, the oldest first. */
export function listBatches({ store = defaultStorePath }: BatchesOptions = {}): BatchStatus[] {
  using open = new CallStore(store, { readOnly: true });
  return open.batches.open().map((batch) => describe(open, batch));
}

/**
 * Asks the providers to stop batches, each by itself: one that had ended keeps no other from being stopped. What they had answered by
 * then is paid for, and fetched by the next command that asks the same; the rest it hands in again.
 *
 * @param ids our or the provider's names; all when left out
 * @throws UsageError when a batch is not there
 */
export async function cancelBatches(
  ids: readonly string[] | undefined,
  { store = defaultStorePath, environment }: BatchesOptions = {},
): Promise<CancelledBatch[]> {
  using open = new CallStore(store, { readOnly: true });
  const done: CancelledBatch[] = [];
  for (const batch of choose(open, ids)) {
    const status = describe(open, batch);
    try {
      done.push({ ...status, outcome: await cancel(batch, environment) });
    } catch (error) {
      done.push({ ...status, outcome: "kept", problem: messageOf(error) });
    }
  }
  return done;
}

async function cancel(
  { model: identity, providerId }: OpenBatch,
  environment: NodeJS.ProcessEnv | undefined,
): Promise<CancelledBatch["outcome"]> {
  if (providerId === null)
    throw new UsageError(
      "it is not known to have arrived; the command that handed it in finds that out, cancel it then",
    );
  const [name = ""] = identity.split(/@(?=https?:)/);
  const model = await openModel(name, environment ? { environment } : {});
  if (model.problem !== undefined) throw new UsageError(model.problem);
  if (model.identity !== identity || !model.batches?.api.doCancelBatch)
    throw new UsageError(
      `expected to reach ${identity}, got ${model.identity}; set the address that it was handed in at`,
    );
  const { api } = model.batches;
  const signal = () => AbortSignal.timeout(askTimeoutMs);
  try {
    await api.doCancelBatch!({ batchId: providerId, abortSignal: signal() });
    return "asked to stop";
  } catch (error) {
    const isEnded = await api.doGetBatchStatus({ batchId: providerId, abortSignal: signal() }).then(
      ({ status }) => status !== "pending",
      () => false,
    );
    if (isEnded || (error as { statusCode?: unknown }).statusCode === 409) return "had ended";
    const { detail } = readFailure(error, Date.now());
    throw new AlpagasusError(model.redact(detail), { cause: error });
  }
}

/**
 * Takes batches for lost: their calls can be asked again, and their money counts as perhaps paid.
 *
 * @throws UsageError when a batch is not there, or a process is handing it in
 */
export function forgetBatches(
  ids: readonly string[],
  { store = defaultStorePath }: BatchesOptions = {},
): BatchStatus[] {
  using open = new CallStore(store);
  return open.transact(() => {
    const chosen = choose(open, ids);
    for (const batch of chosen)
      if (stateOf(open, batch) === "handing in")
        throw new UsageError(
          `${batch.id}: expected a batch that nobody is at, got one that another process is handing in; stop that first, or wait for it`,
        );
    return chosen.map((batch) => {
      open.batches.end(batch.id, "given up by hand");
      open.bookPerhaps(batch.purse, batch.reserved);
      return describe(open, batch);
    });
  });
}

function choose(store: CallStore, ids: readonly string[] | undefined): OpenBatch[] {
  const all = store.batches.open();
  if (!ids) return all;
  return ids.map((id) => {
    const found = all.find((batch) => batch.id === id || batch.providerId === id);
    if (!found)
      throw new UsageError(
        `${id}: expected a batch that is under way, got none of that name (there: ${all.map(({ providerId, id: own }) => providerId ?? own).join(", ") || "none"})`,
      );
    return found;
  });
}

function stateOf(store: CallStore, { providerId, problem, sentAt, owner }: OpenBatch): BatchState {
  if (problem !== null) return "not given out";
  if (providerId !== null) return "under way";
  if (store.isAlive(owner)) return "handing in";
  return sentAt === null ? "not sent" : "not confirmed";
}

function describe(store: CallStore, batch: OpenBatch): BatchStatus {
  const { id, model, providerId, calls, left, reserved, begunAt, problem } = batch;
  return {
    id,
    model,
    providerId,
    calls,
    left,
    reservedUsd: reserved > 0 ? reserved / nanosPerUsd : null,
    begunAt: new Date(begunAt).toISOString(),
    state: stateOf(store, batch),
    problem,
  };
}
