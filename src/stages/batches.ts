import { AlpagasusError, messageOf, UsageError } from "../errors.ts";
import type { OpenBatch } from "../llm/batches/batch-book.ts";
import { CallStore, defaultStorePath } from "../llm/call-store.ts";
import { askTimeoutMs } from "../llm/batches/policy.ts";
import { readFailure } from "../llm/failure.ts";
import { openModel } from "../llm/open-model.ts";
import { nanosPerUsd } from "../llm/price.ts";

/** A batch at a provider whose results have not been fetched. */
export interface BatchStatus {
  /** Our id of it. */
  readonly id: string;
  readonly model: string;
  /** The provider's id of it; null while its submission is not confirmed. */
  readonly providerId: string | null;
  readonly calls: number;
  /** Calls without an outcome. */
  readonly left: number;
  /** The most that those can cost; null without a price. */
  readonly reservedUsd: number | null;
  /** ISO 8601. */
  readonly begunAt: string;
  readonly state: BatchState;
  /** Why it cannot be fetched, or was not cancelled. */
  readonly problem: string | null;
}

/**
 * The state of a batch, by what the store records; `docs/batches.md` has a diagram of the states.
 *
 * - `handing in`: a live process is submitting it.
 * - `not sent`: its process was stopped before sending it.
 * - `not confirmed`: it was sent, but the provider's id never arrived.
 * - `under way`: it is at the provider, running or ended.
 * - `not given out`: the provider does not know it, or does not show it to the key.
 */
export type BatchState = "handing in" | "not sent" | "not confirmed" | "under way" | "not given out";

/** The result of asking a provider to cancel a batch. */
export interface CancelledBatch extends BatchStatus {
  /** `kept`: it could not be cancelled; `problem` says why. */
  readonly outcome: "asked to stop" | "had ended" | "kept";
}

export interface BatchesOptions {
  /** The call store; `.alpagasus/calls.sqlite` when left out. */
  readonly store?: string | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
}

/** The open batches of a store, oldest first. */
export function listBatches({ store = defaultStorePath }: BatchesOptions = {}): BatchStatus[] {
  using open = new CallStore(store, { readOnly: true });
  return open.batches.open().map((batch) => statusOf(open, batch));
}

/**
 * Asks the providers to cancel batches, each by itself, so that one that had ended does not keep others from being cancelled.
 * Replies that were made by then are paid for. The next command with the same calls fetches them and submits the rest again.
 *
 * @param ids our or the provider's ids; all batches when left out
 * @throws UsageError when a batch is not there
 */
export async function cancelBatches(
  ids: readonly string[] | undefined,
  { store = defaultStorePath, environment }: BatchesOptions = {},
): Promise<CancelledBatch[]> {
  using open = new CallStore(store, { readOnly: true });
  const done: CancelledBatch[] = [];
  for (const batch of choose(open, ids)) {
    const status = statusOf(open, batch);
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
    throw new UsageError("its submission is not confirmed; run the command that submitted it again, then cancel it");
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
    const { detail } = readFailure(error, Date.now(), (text) => model.redact(text));
    throw new AlpagasusError(model.redact(detail), { cause: error });
  }
}

/**
 * Gives batches up as lost: their calls can be made again, and their money counts as perhaps paid.
 *
 * @throws UsageError when a batch is not there, or a process is submitting it
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
          `${batch.id}: expected a batch that no process is submitting, got one that another process is; stop that first, or wait for it`,
        );
    return chosen.map((batch) => {
      open.batches.end(batch.id, "given up by hand");
      open.bookPerhaps(batch.purse, batch.reserved);
      return statusOf(open, batch);
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

function statusOf(store: CallStore, batch: OpenBatch): BatchStatus {
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
