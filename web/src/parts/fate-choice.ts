import type { Values } from "./list.ts";

/** What the choice of rows by an arm is, as one value: `kept/ARM`, `not/ARM` or `REASON/ARM`. */
export function fateChoice({ arm, isKept, reason }: Values): string {
  if (arm === undefined) return "";
  return `${reason ?? (isKept === "false" ? "not" : "kept")}/${arm}`;
}

/** The link's parameters of such a choice. */
export function readFateChoice(choice: string): Record<string, string | undefined> {
  const at = choice.indexOf("/"); // no reason has one
  const [fate, arm] = at < 0 ? ["", undefined] : [choice.slice(0, at), choice.slice(at + 1)];
  const isReason = fate !== "kept" && fate !== "not";
  return {
    arm,
    isKept: arm === undefined || isReason ? undefined : String(fate === "kept"),
    reason: arm === undefined || !isReason ? undefined : fate,
  };
}
