import { join } from "node:path";
import type { StatementSync } from "node:sqlite";
import { KeptDatabase } from "../files/kept-database.ts";

export const defaultLikelihoodsPath = join(".alpagasus", "likelihoods.sqlite");

/** How likely a model finds some tokens: the sum of their negative natural log-probabilities, and how many they are. */
export interface TokenSum {
  readonly nll: number;
  readonly tokens: number;
}

/** What a model measured of an answer. */
export interface Likelihood {
  /** Given its prompt. */
  readonly answer?: TokenSum | undefined;
  /** By itself. */
  readonly alone?: TokenSum | undefined;
  /** The score of a reward model. */
  readonly reward?: number | undefined;
  /** Whether the row is longer than the model was given. */
  readonly isCut: boolean;
}

/** Which of its parts somebody needs. */
export type LikelihoodPart = "answer" | "alone" | "reward";

/**
 * Everything that was measured, in one SQLite file that processes and runs share, so that nothing is measured twice. A key stands for the
 * model, the prompt, the answer and how they are put together.
 */
export class LikelihoodStore implements Disposable {
  readonly #database: KeptDatabase;
  readonly #find: StatementSync;
  readonly #save: StatementSync;

  /** Opens the store, and creates it if missing. @throws UsageError when the file is something else */
  constructor(path: string = defaultLikelihoodsPath) {
    this.#database = new KeptDatabase(path, {
      keeps: "what models measured",
      application: 0x616c706c, // "alpl"
      layout: 2,
      upgrades: { 1: "alter table likelihoods add column reward real" },
      tables: `create table if not exists likelihoods (
        key blob primary key, answer_nll real, answer_tokens integer, alone_nll real, alone_tokens integer, is_cut integer not null, reward real
      ) strict, without rowid`,
    });
    this.#find = this.#database.prepare(
      "select answer_nll, answer_tokens, alone_nll, alone_tokens, reward, is_cut from likelihoods where key = ?",
    );
    this.#save = this.#database.prepare(
      `insert into likelihoods (key, answer_nll, answer_tokens, alone_nll, alone_tokens, reward, is_cut)
      values (?, ?, ?, ?, ?, ?, ?) on conflict (key) do update set
        answer_nll = coalesce(excluded.answer_nll, answer_nll), answer_tokens = coalesce(excluded.answer_tokens, answer_tokens),
        alone_nll = coalesce(excluded.alone_nll, alone_nll), alone_tokens = coalesce(excluded.alone_tokens, alone_tokens),
        reward = coalesce(excluded.reward, reward)`,
    );
  }

  find(key: Buffer): Likelihood | undefined {
    const row = this.#database.try(() => this.#find.get(key)) as Record<string, number | null> | undefined; // by the table's own types
    if (!row) return undefined;
    const sum = (part: "answer" | "alone"): TokenSum | undefined => {
      const [nll, tokens] = [row[`${part}_nll`], row[`${part}_tokens`]];
      return nll == null || tokens == null ? undefined : { nll, tokens };
    };
    return {
      answer: sum("answer"),
      alone: sum("alone"),
      reward: row["reward"] ?? undefined,
      isCut: row["is_cut"] === 1,
    };
  }

  /** Saves in one transaction. A part that is missing stays as it was. */
  save(measured: readonly { readonly key: Buffer; readonly likelihood: Likelihood }[]): void {
    this.#database.write(() => {
      for (const { key, likelihood } of measured) {
        const { answer, alone, reward, isCut } = likelihood;
        const values = [answer?.nll, answer?.tokens, alone?.nll, alone?.tokens, reward].map((value) => value ?? null);
        this.#save.run(key, ...values, isCut ? 1 : 0);
      }
    });
  }

  [Symbol.dispose](): void {
    this.#database[Symbol.dispose]();
  }
}
