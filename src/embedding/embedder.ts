import type { Asker } from "../judge/asker.ts";
import type { ModelRequest } from "../llm/request.ts";
import type { LocalEmbedder } from "../vectors/embedded.ts";

/** What makes vectors of texts: a model on this machine, or a server. */
export interface Embedder extends LocalEmbedder {
  /** The calls that it makes; absent for a model on this machine. */
  readonly asker?: Asker | undefined;
  /** The calls for a text, for a plan. */
  ask(text: string): readonly ModelRequest[];
}

/** The vector scaled to length 1; undefined where it has no length. */
export function toUnitLength(vector: Float32Array): Float32Array | undefined {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  return length > 0 && Number.isFinite(length) ? vector.map((value) => value / length) : undefined;
}
