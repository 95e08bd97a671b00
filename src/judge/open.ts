import { UsageError } from "../errors.ts";
import type { Judge, Scale } from "./judge.ts";
import { createColumnJudge, createRecordedJudge } from "./recorded.ts";
import { createRunJudge } from "./run.ts";
import { createStudentJudge } from "./student.ts";

/** How judges are named on the command line; a new kind is added here. */
export const judgeForms = "student, student:FILE, recorded:FILE[#COLUMN], column:NAME or run:DIR";

export interface OpenJudgeOptions {
  /** Scale of recorded scores; the student has its own. */
  readonly scale?: Scale;
}

/** The judge behind a name. @throws UsageError when the name is of no known form, DataError when its file cannot be read */
export async function openJudge(name: string, { scale }: OpenJudgeOptions = {}): Promise<Judge> {
  const [, kind, rest] = /^([a-z]+)(?::(.*))?$/s.exec(name) ?? [];
  if (kind === "student") {
    if (scale) throw new UsageError("--scale: the student has a scale of its own; leave the option out");
    return createStudentJudge(rest);
  }
  const options = scale ? { scale } : {};
  if (kind === "recorded" && rest) return createRecordedJudge(rest, options);
  if (kind === "column" && rest) return createColumnJudge(rest, options);
  if (kind === "run" && rest) return createRunJudge(rest);
  throw new UsageError(`--judge: expected ${judgeForms}, got ${JSON.stringify(name)}`);
}
