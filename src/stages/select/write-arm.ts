import { hash } from "node:crypto";
import { stat } from "node:fs/promises";
import type { Dataset } from "../../dataset/dataset.ts";
import { hashFile } from "../../files/hash-file.ts";
import type { ArmSummary } from "../../run/records/arm.ts";
import type { RatedManifest } from "../../run/manifest.ts";
import type { WatchedWord } from "../../run/records/arm.ts";
import type { RunFolder } from "../../run/run-folder.ts";
import { WordWatch } from "../../selection/watch.ts";
import type { ArmTally, WhatIfTable } from "../../selection/what-if.ts";
import { type ArmFiles, openArm, type WrittenRows } from "./arm-files.ts";
import type { FateTable } from "./fates.ts";
import type { RatedRows } from "./rated-rows.ts";
import type { Plan, SelectOptions } from "./plan.ts";
import { writeInThreads } from "./write-threads.ts";

export interface Written {
  readonly path: string;
  readonly decisionsPath: string;
  readonly files: NonNullable<ArmSummary["files"]>;
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
  table: FateTable,
  { dataset: record, rate: { ratingsHash } }: RatedManifest,
): Promise<Written> {
  const path = run.armPath(plan.arm, dataset.extension);
  const decisionsPath = run.decisionsPath(plan.arm);
  const files: ArmFiles = { dataset, path, decisionsPath, rows: record.rows, table, options };
  const written =
    (await writeInThreads(files, record, run.ratingsPath, ratingsHash)) ?? (await writeHere(files, rated));
  const { decider, candidates, watched } = written;
  return {
    path,
    decisionsPath,
    files: {
      bytes: (await stat(path)).size,
      sha256: (await hashFile(path))!, // both have just been written
      decisionsSha256: (await hashFile(decisionsPath))!,
    },
    rows: decider.kept,
    totalRows: decider.total,
    scoredRows: decider.scored,
    cut: Number.isFinite(decider.cut) ? decider.cut : null,
    reasons: decider.reasons,
    whatIf: decider.whatIf,
    armTally: decider.armTally,
    watched,
    candidatesHash: hash("sha256", candidates),
  };
}

/** Reads and writes row by row. */
async function writeHere(files: ArmFiles, rated: RatedRows): Promise<WrittenRows> {
  const { options } = files;
  const watch = options.watch === undefined ? undefined : new WordWatch(options.watch);
  const { decider, candidates, rows, decisions, finish, discard } = openArm(files);
  try {
    for await (const batch of rated.batches()) {
      for (const row of batch) {
        const { isKept, isCandidate, line } = decider.decide(row);
        if (isCandidate) candidates[row.example.index] = 1;
        watch?.add(row.example, isKept);
        const kept = isKept && rows.write(row.example);
        if (kept) await kept;
        const written = decisions.write(`${line}\n`);
        if (written) await written;
      }
      options.onProgress?.({ stage: "select", doing: "writing", done: decider.total, unit: "rows" });
    }
    await finish();
  } finally {
    await discard();
  }
  return { decider, candidates, watched: watch?.describe() };
}
