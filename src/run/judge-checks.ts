import { appendFile } from "node:fs/promises";
import { readWhole } from "../files/read-file.ts";
import * as z from "zod";
import { makeFolder } from "../files/make-folder.ts";
import { tryParse } from "../files/try-parse.ts";
import { rateSummarySchema } from "./records/rating.ts";
import type { RunFolder } from "./run-folder.ts";

/** What `check-judge` found, as the run keeps it, a line a check. */
const checkedSchema = z.object({
  at: z.string(),
  judge: z.string(),
  rubric: z.string().optional(),
  checks: rateSummarySchema.shape.checks.unwrap(),
});
export type CheckedJudge = z.infer<typeof checkedSchema>;

export async function keepCheck(run: RunFolder, checked: CheckedJudge): Promise<void> {
  makeFolder(run.folder);
  await appendFile(run.judgeChecksPath, `${JSON.stringify(checked)}\n`);
}

/** The latest check of a judge with a rubric in this run; undefined where there was none. */
export async function latestCheck(
  run: RunFolder,
  judge: string,
  rubric: string | undefined,
): Promise<CheckedJudge | undefined> {
  const text = await readWhole(run.judgeChecksPath, "utf8").catch(() => "");
  return text
    .split("\n")
    .flatMap((line) => checkedSchema.safeParse(tryParse(line)).data ?? [])
    .findLast((one) => one.judge === judge && one.rubric === rubric);
}
