import type { Asker } from "../judge/asker.ts";
import type { ModelRequest } from "../llm/request.ts";

/*
 * The seam behind which texts become vectors: by a model on this machine, or by a server.
 */

/** A text's vector, of length 1, or why it has none. */
export type Embedded =
  | {
      readonly state: "embedded";
      readonly vector: Float32Array;
      /** Whether the text is longer than the model reads. */
      readonly isCut: boolean;
    }
  | { readonly state: "refused" | "failed" | "pending"; readonly detail?: string | undefined };

export interface Embedder {
  /** The model as the user names it. */
  readonly name: string;
  /** Vectors of texts, in their order. Each result is kept as soon as it is there. */
  embed(texts: AsyncIterable<readonly string[]>): AsyncIterable<readonly Embedded[]>;
  /** Notes for readers of its vectors, one line each. */
  notes(): readonly string[];
  /** How many texts are done, and what it does beside them: `loading the model`. */
  work(): { readonly done: number; readonly phase: string | undefined };
  /** The calls that it makes; absent for a model on this machine. */
  readonly asker?: Asker | undefined;
  /** The calls for a text, for a plan. */
  ask(text: string): readonly ModelRequest[];
  close(): Promise<void>;
}

export const emptyText: Embedded = { state: "refused", detail: "its text is empty" };

/** The vector scaled to length 1; undefined where it has no length. */
export function toUnitLength(vector: Float32Array): Float32Array | undefined {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  return length > 0 && Number.isFinite(length) ? vector.map((value) => value / length) : undefined;
}
