import { formatCount } from "../format.ts";
import type { Question } from "./records/common.ts";

/** How a model was prompted, in words. */
export function describeQuestion(question: Question | undefined): string {
  if (!question) return "without a rubric";
  const { rubric, rubricVersion, maxOutputTokens, temperature, reasoning, hash } = question;
  const settings = [`at most ${formatCount(maxOutputTokens)} tokens`];
  if (temperature !== undefined) settings.push(`temperature ${temperature}`);
  if (reasoning !== undefined) settings.push(`reasoning ${reasoning}`);
  if (rubric !== undefined) settings.unshift(`rubric ${rubric} ${rubricVersion}`);
  return `${settings.join(", ")}, #${hash.slice(0, 6)}`;
}
