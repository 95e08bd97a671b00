/** A text's vector, of length 1, or why it has none. */
export type Embedded =
  | {
      readonly state: "embedded";
      readonly vector: Float32Array;
      /** Whether the text is longer than the model reads. */
      readonly isCut: boolean;
    }
  | { readonly state: "refused" | "failed" | "pending"; readonly detail?: string | undefined };

/** A model on this machine that makes vectors. */
export interface LocalEmbedder {
  /** The model as the user names it. */
  readonly name: string;
  /** Vectors of texts, in their order. Each result is kept as soon as it is there. */
  embed(texts: AsyncIterable<readonly string[]>): AsyncIterable<readonly Embedded[]>;
  /** Notes for readers of its vectors, one line each. */
  notes(): readonly string[];
  /** How many texts are done, and what it does beside them: `loading the model`. */
  work(): { readonly done: number; readonly phase: string | undefined };
  close(): Promise<void>;
}

export const emptyText: Embedded = { state: "refused", detail: "its text is empty" };
