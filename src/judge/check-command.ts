import { runFlag } from "../run/run-folder.ts";
import { shellWord } from "../shell-word.ts";

/** How the judge was opened, as far as the command can say it. */
interface CheckedAs {
  readonly run: string;
  readonly rubric?: string | undefined;
  readonly store?: string | undefined;
  readonly logprobs?: boolean | undefined;
  readonly samples?: number | undefined;
  readonly reasoning?: string | undefined;
  readonly maxOutputTokens?: number | undefined;
}

/** The command that checks a judge and shows its replies on the anchor rows. */
export function checkCommand(
  judge: string,
  { rubric, run, store, logprobs, samples, reasoning, maxOutputTokens }: CheckedAs,
): string {
  const given = [
    ...(rubric === undefined ? [] : [`--rubric ${shellWord(rubric)}`]),
    ...(logprobs === true ? ["--logprobs"] : []),
    ...(samples === undefined || samples === 1 ? [] : [`--samples ${samples}`]),
    ...(reasoning === undefined ? [] : [`--reasoning ${reasoning}`]),
    ...(maxOutputTokens === undefined ? [] : [`--max-output-tokens ${maxOutputTokens}`]),
    ...(store === undefined ? [] : [`--store ${shellWord(store)}`]),
  ];
  return [`alpagasus check-judge --judge ${shellWord(judge)}`, ...given].join(" ") + runFlag(run);
}
