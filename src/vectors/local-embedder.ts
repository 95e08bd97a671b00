import { hash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { rowsInFlight, startRowsOnRay } from "../cluster/rows-on-ray.ts";
import type { RayServing } from "../cluster/serve.ts";
import { formatNumbered } from "../format.ts";
import { hubCommit } from "../files/model-hash.ts";
import { mapInBlocks } from "../in-blocks.ts";
import { isMinilm, makeMinilm, minilmFolder } from "../python/minilm.ts";
import { identifyHubModel, identifyModelFolder, resolveModelFolder } from "../python/model-folder.ts";
import { pythonFolder } from "../python/uv.ts";
import { startRowProcess, type RowProcess } from "../python/row-process.ts";
import { isSmollm2, makeSmollm2, smollm2Folder } from "../python/smollm2.ts";
import { fromBase64 } from "../llm/open-embedding.ts";
import { type Embedded, emptyText, type LocalEmbedder } from "./embedded.ts";
import { VectorStore } from "./vector-store.ts";

export interface LocalEmbedderOptions {
  /** `minilm` or `smollm2`, which need no Hub; a folder; an id on the Hub. */
  readonly model: string;
  /** The most tokens of a text that are read; the model's own limit counts too. */
  readonly maxLength?: number | undefined;
  /** The file that keeps vectors. */
  readonly store?: string | undefined;
  /** Make them on a Ray cluster. */
  readonly ray?: RayServing | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Made = { readonly vector: Float32Array; readonly isCut: boolean } | { readonly problem: string };

export const sentenceTransformers = "sentence-transformers==6.2.0";

const result = z
  .object({ vector: z.string().optional(), cut: z.boolean().optional(), problem: z.string().optional() })
  .transform(({ vector: text = "", cut = false, problem }): Made => {
    const vector = fromBase64(text);
    return vector && problem === undefined
      ? { vector, isCut: cut }
      : { problem: problem ?? "the model gives it no vector of finite values" };
  });

/**
 * A model on this machine that makes vectors, by `python/embed.py`. What it made once is kept, and not made again. Nothing is loaded before
 * the first text that is not known.
 *
 * @throws UsageError when there is no such model
 */
export async function openLocalEmbedder({
  model,
  maxLength = 0,
  store: storePath,
  ray,
  signal,
}: LocalEmbedderOptions): Promise<LocalEmbedder> {
  let phase: string | undefined;
  const onPhase = (doing: string) => void (phase = doing);
  const builtIn = isMinilm(model) ? minilmFolder() : isSmollm2(model) ? smollm2Folder() : undefined;
  const path =
    builtIn ??
    resolveModelFolder(
      model,
      "--model",
      "minilm, smollm2 or a model behind an API (openai:MODEL, http://HOST/v1#MODEL)",
    );
  let opened: VectorStore | undefined; // a plan needs none
  const store = (): VectorStore => (opened ??= new VectorStore(storePath));
  const counts = { done: 0, known: 0, cut: 0 };
  let embedding: RowProcess<{ readonly text: string }, Made> | undefined;
  let identity: string | undefined;
  let revision: string | undefined; // of a model on the Hub: the commit that identifies it is the one that is loaded

  /** Builds the model if need be, and identifies it; of a model on the Hub that is not here yet, after it is loaded. */
  const open = async (): Promise<void> => {
    if (isMinilm(model)) await makeMinilm(signal, onPhase);
    if (isSmollm2(model)) await makeSmollm2(signal, onPhase);
    if (!existsSync(path)) {
      revision = (await hubCommit(path)) || undefined;
      if (revision === undefined) await start().ready; // it downloads the model: then its commit is known
    }
    const commit = embedding?.commit?.(); // of a model that was downloaded on a cluster
    identity = commit === undefined ? await identifyModelFolder(path, signal) : identifyHubModel(path, commit);
  };
  const start = () => (embedding ??= startProcess());
  const startProcess = () => {
    const started = {
      script: "embed.py",
      args: [path, revision ?? "-", String(maxLength)],
      parts: { packages: [sentenceTransformers] },
      env: { TOKENIZERS_PARALLELISM: "false", ...(existsSync(path) && { HF_HUB_OFFLINE: "1" }) },
      doing: `making vectors with ${model}`,
      afterFailure: "vectors that were made are kept, and the same command goes on",
      result,
      log: join(".alpagasus", "embed.log"),
      onPhase,
    };
    if (!ray) return startRowProcess<{ readonly text: string }, Made>(started);
    const imports = [join(pythonFolder, "row_process.py")];
    const modelHash = identity ?? hash("sha256", path);
    return startRowsOnRay<{ readonly text: string }, Made>({
      ...started,
      ray,
      model: path,
      isOnHub: !existsSync(path),
      modelHash,
      imports,
      signal,
    });
  };
  const stop = () => void embedding?.stop();
  signal?.addEventListener("abort", stop);

  const underWay = new Map<string, PromiseWithResolvers<Made>>(); // texts that a block asks for

  const embedBlock = async (texts: readonly string[]): Promise<readonly Embedded[]> => {
    signal?.throwIfAborted();
    const keys = texts.map((text) => hash("sha256", `${identity}\0${maxLength}\0${text}`, "buffer").subarray(0, 16));
    const made = keys.map((key): Made | undefined => store().find(key));
    counts.known += made.filter(Boolean).length;
    counts.done += made.filter(Boolean).length;
    const asked = new Map<string, number[]>(); // the same text once
    const others: Promise<void>[] = []; // texts that an earlier block asks for
    for (const [at, text] of texts.entries()) {
      if (made[at] || text.trim() === "") continue;
      const earlier = asked.has(text) ? undefined : underWay.get(text);
      if (earlier) {
        const told = earlier.promise.then((one) => void (made[at] = one));
        told.catch(() => {}); // it is awaited below, unless our own fail first
        others.push(told);
      } else asked.set(text, [...(asked.get(text) ?? []), at]);
    }
    const places = [...asked.values()];
    const own = [...asked.keys()].map((text) => {
      const awaited = Promise.withResolvers<Made>();
      awaited.promise.catch(() => {}); // whoever needs it is told
      underWay.set(text, awaited);
      return awaited;
    });
    try {
      if (asked.size > 0)
        await start().measure(
          [...asked.keys()].map((text) => ({ text })),
          (results) => {
            phase = undefined;
            const good = results.flatMap(({ at, result: one }) =>
              "problem" in one ? [] : [{ key: keys[places[at]![0]!]!, ...one }],
            );
            store().save(good);
            for (const { at, result: one } of results) {
              for (const place of places[at]!) made[place] = one;
              own[at]!.resolve(one);
              counts.done += places[at]!.length;
            }
          },
        );
      await Promise.all(others);
      counts.done += others.length;
    } catch (error) {
      for (const { reject } of own) reject(error);
      signal?.throwIfAborted();
      throw error;
    } finally {
      for (const text of asked.keys()) underWay.delete(text);
    }
    phase = undefined;
    return made.map((one) => {
      if (!one) return emptyText;
      if ("problem" in one) return { state: "failed", detail: one.problem };
      if (one.isCut) counts.cut++;
      return { state: "embedded", ...one };
    });
  };

  return {
    name: model,
    async *embed(texts) {
      counts.done = 0;
      phase = "loading the model";
      if (identity === undefined) await open();
      yield* mapInBlocks(texts, embedBlock, ray ? rowsInFlight(ray) : 0);
    },
    notes: () => [
      `by ${model}${embedding?.device() === undefined ? "" : ` (${embedding.device()})`}`,
      ...(counts.known > 0
        ? [`${formatNumbered(counts.known, "vector was", "vectors were")} made before, and not again`]
        : []),
      ...(counts.cut > 0
        ? [
            `${formatNumbered(counts.cut, "text is", "texts are")} longer than the model reads; what is beyond is not in the vector (a model with a longer window, or --text prompt)`,
          ]
        : []),
    ],
    work: () => ({ done: counts.done, phase }),
    async close() {
      signal?.removeEventListener("abort", stop);
      await embedding?.stop();
      opened?.[Symbol.dispose]();
    },
  };
}
