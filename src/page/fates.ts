import { messageOf } from "../errors.ts";
import { findChangedDecisions } from "../run/file-states.ts";
import type { Decision } from "../selection/decision.ts";
import { readDecisions } from "../selection/decisions-file.ts";
import { type InTurn, type RowSource, inTurn } from "./in-turn.ts";

const again = "select it again";

interface ReadArm {
  readonly arm: string;
  decisions: InTurn<Decision> | undefined;
}

/** Each arm's decisions, row by row. An arm whose file is damaged or changed adds a problem; its decisions are then undefined. */
export class Fates {
  readonly #arms: ReadArm[];
  readonly #problems: string[];

  static async open({ run, arms }: RowSource, problems: string[]): Promise<Fates> {
    const changed = new Map((await findChangedDecisions(run, arms)).map(({ arm, path }) => [arm, path]));
    for (const [arm, path] of changed)
      problems.push(`${path}: the decisions have changed since ${arm} was selected, so they are not shown; ${again}`);
    return new Fates(
      arms.map(({ arm }) => ({
        arm,
        decisions: changed.has(arm) ? undefined : inTurn(readDecisions(run.decisionsPath(arm))),
      })),
      problems,
    );
  }

  private constructor(arms: ReadArm[], problems: string[]) {
    this.#arms = arms;
    this.#problems = problems;
  }

  /** Arms whose decisions could be read so far. */
  get known(): ReadonlySet<string> {
    return new Set(this.#arms.flatMap(({ arm, decisions }) => (decisions ? [arm] : [])));
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
        const isGone = (error as NodeJS.ErrnoException).code === "ENOENT";
        const why = isGone ? "their file is missing" : messageOf(error);
        this.#problems.push(`the decisions of the arm ${this.#arms[i]!.arm} cannot be shown: ${why}; ${again}`);
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
