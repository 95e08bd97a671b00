import { dirname, join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { messageOf, UsageError } from "../errors.ts";
import { makeFolder } from "../files/make-folder.ts";

export const defaultLikelihoodsPath = join(".alpagasus", "likelihoods.sqlite");

/** How likely a model finds some tokens: the sum of their negative natural log-probabilities, and how many they are. */
export interface TokenSum {
  readonly nll: number;
  readonly tokens: number;
}

/** What was measured of an answer. */
export interface Likelihood {
  /** Given its prompt. */
  readonly answer?: TokenSum | undefined;
  /** By itself. */
  readonly alone?: TokenSum | undefined;
  /** Whether the row is longer than the model was given. */
  readonly isCut: boolean;
}

/** Which of its parts somebody needs. */
export type LikelihoodPart = "answer" | "alone";

const layout = 1;
const application = 0x616c706c; // "alpl"
const busyMs = 20_000;

/**
 * Everything that was measured, in one SQLite file that processes and runs share, so that nothing is measured twice. A key stands for the
 * model, the prompt, the answer and how they are put together.
 */
export class LikelihoodStore implements Disposable {
  readonly #database: DatabaseSync;
  readonly #find: StatementSync;
  readonly #save: StatementSync;

  /** Opens the store, and creates it if missing. @throws UsageError when the file is something else */
  constructor(path: string = defaultLikelihoodsPath) {
    try {
      makeFolder(dirname(path));
      this.#database = new DatabaseSync(path, { timeout: busyMs });
      const { application_id: owner } = this.#database.prepare("pragma application_id").get()!;
      const isEmpty = this.#database.prepare("select 1 from sqlite_schema").get() === undefined;
      if (!isEmpty && owner !== application) throw new Error("it is another program's database");
      this.#database.exec(
        `pragma journal_mode = wal; pragma synchronous = normal; pragma application_id = ${application}; pragma user_version = ${layout};
        create table if not exists likelihoods (
          key blob primary key, answer_nll real, answer_tokens integer, alone_nll real, alone_tokens integer, is_cut integer not null
        ) strict, without rowid`,
      );
    } catch (cause) {
      throw new UsageError(`${path}: expected the file that keeps what models measured, or none: ${messageOf(cause)}`, {
        cause,
      });
    }
    this.#find = this.#database.prepare(
      "select answer_nll, answer_tokens, alone_nll, alone_tokens, is_cut from likelihoods where key = ?",
    );
    this.#save = this.#database.prepare(
      `insert into likelihoods values (?, ?, ?, ?, ?, ?) on conflict (key) do update set
        answer_nll = coalesce(excluded.answer_nll, answer_nll), answer_tokens = coalesce(excluded.answer_tokens, answer_tokens),
        alone_nll = coalesce(excluded.alone_nll, alone_nll), alone_tokens = coalesce(excluded.alone_tokens, alone_tokens)`,
    );
  }

  find(key: Buffer): Likelihood | undefined {
    const row = this.#find.get(key) as Record<string, number | null> | undefined; // by the table's own types
    if (!row) return undefined;
    const sum = (part: LikelihoodPart): TokenSum | undefined => {
      const [nll, tokens] = [row[`${part}_nll`], row[`${part}_tokens`]];
      return nll == null || tokens == null ? undefined : { nll, tokens };
    };
    return { answer: sum("answer"), alone: sum("alone"), isCut: row["is_cut"] === 1 };
  }

  /** Saves in one transaction. A part that is missing stays as it was. */
  save(measured: readonly { readonly key: Buffer; readonly likelihood: Likelihood }[]): void {
    this.#database.exec("begin immediate");
    try {
      for (const { key, likelihood } of measured) {
        const { answer, alone, isCut } = likelihood;
        const values = [answer?.nll, answer?.tokens, alone?.nll, alone?.tokens].map((value) => value ?? null);
        this.#save.run(key, ...values, isCut ? 1 : 0);
      }
      this.#database.exec("commit");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("rollback");
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
