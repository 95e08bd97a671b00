import type { RayServing } from "../cluster/serve.ts";
import { UsageError } from "../errors.ts";
import type { OpenAskerOptions } from "../judge/open-asker.ts";
import { isModelName } from "../llm/model-name.ts";
import type { Embedder } from "./embedder.ts";

export interface OpenEmbedderOptions extends OpenAskerOptions {
  /** Of a model on this machine: the most tokens of a text that are read. */
  readonly maxLength?: number | undefined;
  /** Of a model on this machine: the file that keeps vectors. */
  readonly vectorStore?: string | undefined;
  /** Of a model that is not behind an API: make the vectors on a Ray cluster. */
  readonly ray?: RayServing | undefined;
}

/**
 * Opens a model that makes vectors: `minilm` or `smollm2`, which need no Hub; a folder or a Hub id, which Python runs on this machine; or
 * one behind an API (`openai:text-embedding-3-small`, `http://127.0.0.1:8000/v1#bge-m3`).
 *
 * @throws UsageError when the name or an option is invalid
 */
export async function openEmbedder(model: string, options: OpenEmbedderOptions): Promise<Embedder> {
  const { maxLength, vectorStore, ray, ...asking } = options;
  if (!isModelName(model)) {
    const { openLocalEmbedder } = await import("../vectors/local-embedder.ts");
    const local = await openLocalEmbedder({ model, maxLength, store: vectorStore, ray, signal: options.signal });
    return { ...local, ask: () => [] };
  }
  if (maxLength !== undefined)
    throw new UsageError(`--max-length: expected a model on this machine with it, got ${model}; leave it out`);
  const { openServedEmbedder } = await import("./served-embedder.ts");
  return openServedEmbedder(model, asking);
}
