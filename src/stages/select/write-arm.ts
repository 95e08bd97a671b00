import { hash } from "node:crypto";
import type { Dataset } from "../../dataset/dataset.ts";
import { openRowWriter } from "../../dataset/write.ts";
import { UsageError } from "../../errors.ts";
import { openAtomicFile } from "../../files/atomic-file.ts";
import { formatCount } from "../../format.ts";
import type { RatedExample } from "../../dataset/rated-rows.ts";
import type { WatchedWord } from "../../run/records/arm.ts";
import type { RunFolder } from "../../run/run-folder.ts";
import type { Decision, Reason, ReasonDetail } from "../../selection/decision.ts";
import { WordWatch } from "../../selection/watch.ts";
import { ArmTally, WhatIfTable } from "../../selection/what-if.ts";
import { type FateOf, reasonsOfNoCandidate } from "./fates.ts";
import type { RatedRows } from "./rated-rows.ts";
import type { Plan, SelectOptions } from "./plan.ts";

export interface Written {
  readonly path: string;
  readonly decisionsPath: string;
  readonly rows: number;
  readonly totalRows: number;
  readonly scoredRows: number;
  readonly cut: number | null;
  readonly reasons: Record<string, number>;
  readonly whatIf: WhatIfTable;
  readonly armTally: ArmTally;
  readonly watched: readonly WatchedWord[] | undefined;
  /** Hash of which rows a control of this arm is drawn from. */
  readonly candidatesHash: string;
}

/** Reads the data again, and writes the kept rows and the decision about every row. */
export async function writeArm(
  plan: Plan,
  options: SelectOptions,
  dataset: Dataset,
  run: RunFolder,
  rated: RatedRows,
  fateOf: FateOf,
  rowCount: number,
): Promise<Written> {
  const watch = options.watch === undefined ? undefined : new WordWatch(options.watch);
  const path = run.armPath(plan.arm, dataset.extension);
  const decisionsPath = run.decisionsPath(plan.arm);
  const decisions = openAtomicFile(decisionsPath);
  const rows = openRowWriter(dataset, path);
  const whatIf = new WhatIfTable(options.fullTraining);
  const armTally = new ArmTally();
  const reasons: Record<string, number> = {};
  const candidates = new Uint8Array(rowCount); // 1 for a row that a control may draw
  const cannotKeep = reasonsOfNoCandidate(plan.method);
  let kept = 0;
  let total = 0;
  let scored = 0;
  let cut = Infinity;
  try {
    for await (const batch of rated.batches()) {
      for (const row of batch) {
        const { example, rating } = row;
        const { reason, detail } = fateOf(row);
        const score = rating.state === "scored" ? rating.score : undefined;
        if (!cannotKeep.has(reason)) candidates[total] = 1;
        total++;
        reasons[reason] = (reasons[reason] ?? 0) + 1;
        whatIf.add(example, score);
        watch?.add(example, reason === "kept");
        if (score !== undefined) scored++;
        if (reason === "kept") {
          kept++;
          if (score !== undefined && score < cut) cut = score;
          armTally.add(example);
          const written = rows.write(example);
          if (written) await written;
        }
        const written = decisions.write(`${JSON.stringify(decide(row, reason, detail))}\n`);
        if (written) await written;
      }
      options.onProgress?.({ stage: "select", doing: "writing", done: total, unit: "rows" });
    }
    expectListed(options, total);
    if (kept === 0) throw noneKept(options, whatIf, reasons);
    options.signal?.throwIfAborted();
    await rows.commit();
    await decisions.commit();
  } finally {
    await rows.discard();
    await decisions.discard();
  }
  return {
    path,
    decisionsPath,
    rows: kept,
    totalRows: total,
    scoredRows: scored,
    cut: Number.isFinite(cut) ? cut : null,
    reasons,
    whatIf,
    armTally,
    watched: watch?.describe(),
    candidatesHash: hash("sha256", candidates),
  };
}

function decide(
  { example, rating, own = rating }: RatedExample,
  reason: Reason,
  detail: ReasonDetail | undefined,
): Decision {
  const { index, id } = example;
  const isScored = rating.state === "scored";
  const decision = {
    index,
    id,
    kept: reason === "kept",
    reason,
    score: isScored ? rating.score : undefined,
    state: own.state === "scored" ? undefined : own.state,
  };
  if (own !== rating && rating.state === "pending") return { ...decision, ...detail, lacks: rating.detail };
  return detail ? { ...decision, ...detail } : decision;
}

function expectListed({ rows }: SelectOptions, total: number): void {
  const outside = rows?.find((row) => row >= total);
  if (outside !== undefined) throw new UsageError(`--rows: expected positions from 0 to ${total - 1}, got ${outside}`);
}

function noneKept(options: SelectOptions, whatIf: WhatIfTable, reasons: Record<string, number>): UsageError {
  const thresholds = whatIf.thresholds();
  const highest = thresholds.at(-1);
  if (options.minScore !== undefined && highest && options.minScore > highest.threshold && reasons["below cut"]) {
    return new UsageError(
      `--min-score ${options.minScore}: expected a cut that some row reaches, got one above everything the judge gave (${thresholds.map(({ threshold, rows }) => `>= ${threshold}: ${rows}`).join(", ")})`,
    );
  }
  const fates = Object.entries(reasons).map(
    ([reason, rows]) =>
      `${formatCount(rows)} ${reason === "unrated" && options.by !== undefined ? `without a value of ${options.by}` : reason}`,
  );
  return new UsageError(`expected a choice that keeps some row, got one that keeps none (${fates.join(", ")})`);
}
