import { join } from "node:path";
import type { StatementSync } from "node:sqlite";
import { KeptDatabase } from "../files/kept-database.ts";

const defaultVectorsPath = join(".alpagasus", "vectors.sqlite");

/** A text's vector, of length 1, and whether the text is longer than its model reads. */
export interface StoredVector {
  readonly vector: Float32Array;
  readonly isCut: boolean;
}

/** Vectors that models on this machine made, in one SQLite file that processes and runs share. A key stands for the model and the text. */
export class VectorStore implements Disposable {
  readonly #database: KeptDatabase;
  readonly #find: StatementSync;
  readonly #save: StatementSync;

  /** Opens the store, and creates it if missing. @throws UsageError when the file is something else */
  constructor(path: string = defaultVectorsPath) {
    this.#database = new KeptDatabase(path, {
      keeps: "texts' vectors",
      application: 0x616c7076, // "alpv"
      layout: 1,
      tables:
        "create table if not exists vectors (key blob primary key, vector blob not null, is_cut integer not null) strict, without rowid",
    });
    this.#find = this.#database.prepare("select vector, is_cut from vectors where key = ?");
    this.#save = this.#database.prepare("insert or replace into vectors (key, vector, is_cut) values (?, ?, ?)");
  }

  find(key: Buffer): StoredVector | undefined {
    const row = this.#database.try(() => this.#find.get(key)) as { vector: Uint8Array; is_cut: number } | undefined; // by the table's types
    return row && { vector: new Float32Array(Uint8Array.from(row.vector).buffer), isCut: row.is_cut === 1 };
  }

  /** Saves in one transaction. */
  save(vectors: readonly ({ readonly key: Buffer } & StoredVector)[]): void {
    this.#database.write(() => {
      for (const { key, vector, isCut } of vectors)
        this.#save.run(key, new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), isCut ? 1 : 0);
    });
  }

  [Symbol.dispose](): void {
    this.#database[Symbol.dispose]();
  }
}
