import { UsageError } from "../../errors.ts";
import type { Dataset } from "../../dataset/dataset.ts";
import { openRowWriter, type RowWriter } from "../../dataset/write.ts";
import { type AtomicFile, openAtomicFile } from "../../files/atomic-file.ts";
import { formatCount } from "../../format.ts";
import type { WatchedWord } from "../../run/records/arm.ts";
import { RowDecider } from "./decide-rows.ts";
import type { FateTable } from "./fates.ts";
import type { SelectOptions } from "./plan.ts";

/** The arm that is to be written. */
export interface ArmFiles {
  readonly dataset: Dataset;
  /** Of the kept rows. */
  readonly path: string;
  readonly decisionsPath: string;
  /** How many rows the dataset has. */
  readonly rows: number;
  readonly table: FateTable;
  readonly options: SelectOptions;
}

export interface WrittenRows {
  readonly decider: RowDecider;
  /** 1 for each row that a control of the arm may draw. */
  readonly candidates: Uint8Array;
  readonly watched: readonly WatchedWord[] | undefined;
}

export interface OpenArm {
  readonly decider: RowDecider;
  readonly candidates: Uint8Array;
  readonly rows: RowWriter;
  readonly decisions: AtomicFile;
  /** Moves the finished files to their places. @throws UsageError when no row is kept, or one was listed that is not there */
  readonly finish: () => Promise<void>;
  /** Deletes the unfinished files; does nothing after `finish`. */
  readonly discard: () => Promise<void>;
}

export function openArm({ dataset, path, decisionsPath, rows: rowCount, table, options }: ArmFiles): OpenArm {
  const decider = new RowDecider(table, options.fullTraining);
  const decisions = openAtomicFile(decisionsPath);
  const rows = openRowWriter(dataset, path);
  return {
    decider,
    candidates: new Uint8Array(rowCount),
    rows,
    decisions,
    async finish() {
      expectListed(options, decider.total);
      if (decider.kept === 0) throw noneKept(options, decider);
      options.signal?.throwIfAborted();
      await rows.commit();
      await decisions.commit();
    },
    async discard() {
      await rows.discard();
      await decisions.discard();
    },
  };
}

function expectListed({ rows }: SelectOptions, total: number): void {
  const outside = rows?.find((row) => row >= total);
  if (outside !== undefined) throw new UsageError(`--rows: expected positions from 0 to ${total - 1}, got ${outside}`);
}

function noneKept(options: SelectOptions, { whatIf, reasons }: RowDecider): UsageError {
  const thresholds = whatIf.thresholds();
  const highest = thresholds.at(-1);
  if (options.minScore !== undefined && highest && options.minScore > highest.threshold && reasons["below cut"]) {
    return new UsageError(
      `--min-score ${options.minScore}: expected a cut that some row reaches, got one above everything the judge gave (the highest: ${thresholds
        .slice(-5)
        .map(({ threshold, rows }) => `>= ${threshold}: ${rows}`)
        .join(", ")})`,
    );
  }
  const fates = Object.entries(reasons).map(
    ([reason, rows]) =>
      `${formatCount(rows)} ${reason === "unrated" && options.by !== undefined ? `without a value of ${options.by}` : reason}`,
  );
  return new UsageError(`expected a choice that keeps some row, got one that keeps none (${fates.join(", ")})`);
}
