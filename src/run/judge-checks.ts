import { existsSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { appendFile, rm } from "node:fs/promises";
import { writeWhole } from "../files/atomic-file.ts";
import { readWhole } from "../files/read-file.ts";
import * as z from "zod";
import { tryParse } from "../files/try-parse.ts";
import { rateSummarySchema } from "./records/rating.ts";
import type { RunFolder } from "./run-folder.ts";

/** What `check-judge` found, as the run keeps it, a line a check. */
const checkedSchema = z.object({
  at: z.string(),
  judge: z.string(),
  /** Of its question, without the rows: the model, the rubric, the sampling. Absent for judges that ask nothing. */
  question: z.string().optional(),
  language: z.string(),
  checks: rateSummarySchema.shape.checks.unwrap(),
});
export type CheckedJudge = z.infer<typeof checkedSchema>;
type Checks = readonly CheckedJudge["checks"][number][];

/**
 * The name under which a check's replies are stored: of one that was begun in this run and did not end, so that nothing is paid twice, or a
 * new one.
 *
 * @param judge its name and its rubric's
 */
export async function nameOfCheck(run: RunFolder, judge: string): Promise<string> {
  return (await readOpenChecks(run))[judge] ?? randomUUID();
}

/** Keeps a check's name until it has ended. */
export async function keepNameOfCheck(run: RunFolder, judge: string, name: string): Promise<void> {
  await writeOpenChecks(run, { ...(await readOpenChecks(run)), [judge]: name });
}

/** Has the judge's next check in this run be a new one. */
export async function forgetNameOfCheck(run: RunFolder, judge: string): Promise<void> {
  const { [judge]: _, ...others } = await readOpenChecks(run);
  await writeOpenChecks(run, others);
}

async function writeOpenChecks(run: RunFolder, checks: Readonly<Record<string, string>>): Promise<void> {
  if (Object.keys(checks).length === 0) await rm(run.openCheckPath, { force: true });
  else await writeWhole(run.openCheckPath, `${JSON.stringify(checks)}\n`);
}

/** Names of the checks that have not ended, by judge and rubric. */
async function readOpenChecks(run: RunFolder): Promise<Readonly<Record<string, string>>> {
  const text = await readWhole(run.openCheckPath, "utf8").catch(() => "");
  return z.record(z.string(), z.uuid()).safeParse(tryParse(text)).data ?? {};
}

/** Adds a check to those of a run that exists. */
export async function keepCheck(run: RunFolder, checked: CheckedJudge): Promise<void> {
  if (!existsSync(run.folder)) return; // there is nothing yet that it says something of
  await appendFile(run.judgeChecksPath, `${JSON.stringify(checked)}\n`).catch(() => {}); // the check itself is shown
}

/** Keeps a judge's check that failed before a rating, for `status`, which says why it was not begun; and one that held after such a check. */
export async function keepFailure(
  run: RunFolder,
  {
    name,
    question,
    checks,
  }: { name: string; question?: { readonly hash: string } | undefined; checks?: Checks | undefined },
): Promise<void> {
  if (!checks) return;
  const hasFailed = checks.some(({ held, isUnknown }) => !held && !isUnknown);
  const hasMended = checks.every(({ held }) => held) && (await latestFailures(run, name)).length > 0;
  if (!hasFailed && !hasMended) return; // one that is not known takes nothing back
  const at = new Date().toISOString();
  await keepCheck(run, { at, judge: name, question: question?.hash, language: "en", checks: [...checks] });
}

/** What a judge failed in its latest check in this run, whatever it was asked there; empty where it passed, or was not checked. */
export async function latestFailures(run: RunFolder, judge: string): Promise<string[]> {
  const last = (await readChecks(run)).findLast((one) => one.judge === judge && one.language === "en");
  return last?.checks.filter(({ held, isUnknown }) => !held && !isUnknown).map(({ name }) => name) ?? [];
}

/** The latest check of a judge with the same question, by anchors in English, in this run; undefined where there was none. */
export async function latestCheck(
  run: RunFolder,
  judge: string,
  question: string | undefined,
): Promise<CheckedJudge | undefined> {
  return (await readChecks(run)).findLast(
    (one) => one.judge === judge && one.question === question && one.language === "en",
  );
}

/** The latest check of each judge in this run. */
export async function latestChecks(run: RunFolder): Promise<CheckedJudge[]> {
  return [...new Map((await readChecks(run)).map((one) => [one.judge, one])).values()];
}

async function readChecks(run: RunFolder): Promise<CheckedJudge[]> {
  const text = await readWhole(run.judgeChecksPath, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => checkedSchema.safeParse(tryParse(line)).data ?? []);
}
