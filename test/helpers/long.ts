/** Whether this is `npm run test:long`: the same tests with all their simulations, kills and histories. */
export const isLong = process.env["ALPAGASUS_LONG"] === "1";

/** All cases in the long run; in every other run the first of them. */
export function someOf<Case>(cases: readonly Case[], count = 1): readonly Case[] {
  return isLong ? cases : cases.slice(0, count);
}

/** How often something is done: in the long run, and in every other. */
export function howOften(inLong: number, otherwise: number): number {
  return isLong ? inLong : otherwise;
}
