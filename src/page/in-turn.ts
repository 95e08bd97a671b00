import type { Dataset } from "../dataset/dataset.ts";
import type { Judge } from "../judge/judge.ts";
import type { ArmSummary } from "../run/records/arm.ts";
import type { RunFolder } from "../run/run-folder.ts";

/** Which rows to read. */
export interface RowSource {
  readonly run: RunFolder;
  readonly dataset: Dataset;
  /** The hash of finished ratings, or the file that unfinished ratings are being written to. */
  readonly ratings: { readonly hash: string } | { readonly unfinished: string };
  /** Arms selected from these ratings. */
  readonly arms: readonly (Pick<ArmSummary, "arm" | "files"> & { readonly cut: number | null })[];
  readonly references: readonly Judge[];
  /** Names of those references that are further scores of the run. */
  readonly furtherScores?: ReadonlySet<string> | undefined;
  /** Whether the user asked for these references; one that does not fit the data is then an error. */
  readonly areReferencesAsked: boolean;
  readonly signal: AbortSignal;
}

export const batchesPerTurn = 4; // read before other work may run

/** Iterates over the items of batches one by one. */
export interface InTurn<T> {
  /** Undefined at the end. */
  next(): Promise<T | undefined> | T | undefined;
  close(): Promise<void>;
}

export function inTurn<T>(batches: AsyncIterable<readonly T[]>): InTurn<T> {
  const iterator = batches[Symbol.asyncIterator]();
  let batch: readonly T[] = [];
  let at = 0;
  const more = async (): Promise<T | undefined> => {
    while (at === batch.length) {
      const { value, done } = await iterator.next();
      if (done) return undefined;
      batch = value;
      at = 0;
    }
    return batch[at++];
  };
  return {
    next: () => (at < batch.length ? batch[at++] : more()),
    close: async () => void (await iterator.return?.()),
  };
}
