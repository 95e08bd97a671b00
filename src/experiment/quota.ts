import type { Quota } from "../selection/quota.ts";
import type { ExperimentRecipe } from "./recipe.ts";

/** How many rows of each value of a column an arm keeps. */
export function readQuota(quota: NonNullable<ExperimentRecipe["arms"]>[string]["quota"]): Quota | undefined {
  const [column, values] = Object.entries(quota ?? {})[0] ?? [];
  if (column === undefined) return undefined;
  const most = (given: number | string) => (typeof given === "string" ? { share: shareOf(given) } : given);
  return { column, keep: new Map(Object.entries(values!).map(([value, given]) => [value, most(given)])) };
}

/** @param percentage `10%` */
export function shareOf(percentage: string): number {
  return Number(percentage.slice(0, -1)) / 100;
}
