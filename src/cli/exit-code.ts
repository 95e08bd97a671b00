import type { CallsRecord, Gate } from "../run/records/common.ts";
import type { CommandContext } from "./context.ts";

/** Sets the exit code from a stage's summary. What stopped its calls takes precedence over a gate that did not hold. */
export function setExitCode(
  { gates, calls }: { readonly gates: readonly Gate[]; readonly calls?: CallsRecord | undefined },
  context: CommandContext,
): void {
  if (gates.some(({ held }) => !held) && context.exitCode === 0) context.exitCode = 3;
  const isOver = calls?.budgetUsd !== undefined && (calls.runPaidUsd ?? 0) > calls.budgetUsd;
  if (calls?.stopped === "failure") context.exitCode = 1;
  if (calls?.failure !== undefined && isOver) context.exitCode = 4; // a reply cost more than it could
  if (calls?.stopped === "budget") context.exitCode = 4;
  if (calls?.stopped === "interrupted") context.exitCode = context.interruptedWith;
}
