import { UsageError } from "../errors.ts";
import type { OpenBatch } from "../llm/batch-book.ts";
import { CallStore, defaultStorePath } from "../llm/call-store.ts";
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
}

export interface BatchesOptions {
  /** The call store; `.alpagasus/calls.sqlite` when left out. */
  readonly store?: string;
  readonly environment?: NodeJS.ProcessEnv;
}

/** The batches that a store waits for, the oldest first. */
export function listBatches({ store = defaultStorePath }: BatchesOptions = {}): BatchStatus[] {
  using open = new CallStore(store, { readOnly: true });
  return open.batches.open().map(describe);
}

/**
 * Asks the providers to stop batches. What they had answered by then is paid for, and fetched by the next command that asks
 * the same; the rest it hands in again.
 *
 * @param ids our or the provider's names; all when left out
 * @throws UsageError when a batch is not there, or its provider cannot be asked
 */
export async function cancelBatches(
  ids: readonly string[] | undefined,
  { store = defaultStorePath, environment }: BatchesOptions = {},
): Promise<BatchStatus[]> {
  using open = new CallStore(store, { readOnly: true });
  const chosen = choose(open, ids);
  for (const { model: identity, providerId } of chosen) {
    if (providerId === null) continue; // the next command finds out whether it is there
    const [name = ""] = identity.split(/@(?=https?:)/);
    const model = await openModel(name, environment ? { environment } : {});
    if (model.problem !== undefined) throw new UsageError(model.problem);
    if (model.identity !== identity || !model.batches?.api.doCancelBatch)
      throw new UsageError(
        `${providerId}: expected to reach ${identity}, got ${model.identity}; set the address that it was handed in at`,
      );
    await model.batches.api.doCancelBatch({ batchId: providerId });
  }
  return chosen.map(describe);
}

/**
 * Takes batches for lost: their calls can be asked again, and their money counts as perhaps paid.
 *
 * @throws UsageError when a batch is not there
 */
export function forgetBatches(
  ids: readonly string[],
  { store = defaultStorePath }: BatchesOptions = {},
): BatchStatus[] {
  using open = new CallStore(store);
  return open.transact(() =>
    choose(open, ids).map((batch) => {
      open.batches.end(batch.id, "given up by hand");
      open.bookPerhaps(batch.purse, batch.reserved);
      return describe(batch);
    }),
  );
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

function describe({ id, model, providerId, calls, left, reserved, begunAt }: OpenBatch): BatchStatus {
  return {
    id,
    model,
    providerId,
    calls,
    left,
    reservedUsd: reserved > 0 ? reserved / nanosPerUsd : null,
    begunAt: new Date(begunAt).toISOString(),
  };
}
