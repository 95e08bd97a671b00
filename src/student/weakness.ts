import type { StudentCard } from "./card.ts";

const weakSpearman = 0.3; // with most judges, length alone correlates better than that

/** What is said of a student that may not have learnt its teacher's taste; undefined where it has. */
export function describeWeakness({ heldOut }: Pick<StudentCard, "heldOut">): string | undefined {
  return heldOut.spearman.low < weakSpearman
    ? `its agreement with the teacher may be as low as ${heldOut.spearman.low.toFixed(2)} (Spearman): it has not learnt this judge's taste`
    : undefined;
}
