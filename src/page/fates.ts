import { messageOf } from "../errors.ts";
import type { Decision } from "../selection/decision.ts";
import { readDecisions } from "../selection/decisions-file.ts";
import { type InTurn, type RowSource, inTurn } from "./in-turn.ts";

/** Each arm's decisions, row by row. An arm whose file is damaged adds a problem; its decisions are then undefined. */
export class Fates {
  readonly #arms: { readonly arm: string; decisions: InTurn<Decision> | undefined }[];
  readonly #problems: string[];

  constructor({ run, arms }: RowSource, problems: string[]) {
    this.#arms = arms.map(({ arm }) => ({ arm, decisions: inTurn(readDecisions(run.decisionsPath(arm))) }));
    this.#problems = problems;
  }

  /** Each arm's reason for the next row; undefined if the arm has none. */
  next(): (string | undefined)[] | Promise<(string | undefined)[]> {
    const found = this.#arms.map(({ decisions }) => decisions?.next());
    return found.some((decision) => decision instanceof Promise)
      ? this.#waitFor(found)
      : found.map((decision) => (decision as Decision | undefined)?.reason); // none of them is a promise
  }

  async #waitFor(
    found: readonly (Promise<Decision | undefined> | Decision | undefined)[],
  ): Promise<(string | undefined)[]> {
    const reasons: (string | undefined)[] = [];
    for (const [i, decision] of found.entries()) {
      try {
        reasons.push((await decision)?.reason);
      } catch (error) {
        this.#problems.push(`the decisions of the arm ${this.#arms[i]!.arm} cannot be shown: ${messageOf(error)}`);
        this.#arms[i]!.decisions = undefined;
        reasons.push(undefined);
      }
    }
    return reasons;
  }

  async close(): Promise<void> {
    for (const { decisions } of this.#arms) await decisions?.close();
  }
}
