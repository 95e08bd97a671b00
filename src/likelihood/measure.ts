import { hash } from "node:crypto";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { readWhole } from "../files/read-file.ts";
import { rowsInFlight } from "../cluster/rows-on-ray.ts";
import type { RayServing } from "../cluster/serve.ts";
import { hubCommit } from "../files/model-hash.ts";
import { identifyHubModel, identifyModelFolder, resolveModelFolder } from "../python/model-folder.ts";
import { isSmollm2, makeSmollm2, smollm2Folder } from "../python/smollm2.ts";
import { defaultLikelihoodsPath, LikelihoodStore, type Likelihood, type LikelihoodPart } from "./likelihood-store.ts";
import { startMeasuring, type MeasureProcess, type RowToMeasure } from "./measure-process.ts";

/*
 * Measures how likely a model finds answers, through the store: what was measured once is not measured again.
 */

export type RowParts = Omit<RowToMeasure, "needs">;

export interface MeasureOptions {
  /** A folder, an id on the Hub, or smollm2, which needs no Hub. */
  readonly model: string;
  /** Who names the model, for messages: `--judge perplexity:MODEL`. */
  readonly option: string;
  readonly parts: readonly LikelihoodPart[];
  /** The most tokens of a row, prompt and answer together. */
  readonly maxLength?: number | undefined;
  /** The file of a chat template in place of the model's own. */
  readonly chatTemplate?: string | undefined;
  readonly store?: string | undefined;
  /** Measure on a Ray cluster. */
  readonly ray?: RayServing | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPhase?: ((phase: string) => void) | undefined;
}

export const defaultMaxLength = 1024;

export type LikelihoodOf = { readonly likelihood: Likelihood } | { readonly problem: string };

export interface Measurer extends AsyncDisposable {
  /** Measures rows; the results are in their order. `onCount` is told how many more are there, and whether they were before. The next call may begin before this one has ended. */
  measure(
    rows: readonly RowParts[],
    onCount?: (count: number, how: { readonly isKnown: boolean }) => void,
  ): Promise<readonly LikelihoodOf[]>;
  /** Where the model runs, once it was needed. */
  device(): string | undefined;
  /** How many rows keep it busy. */
  readonly rowsInFlight: number;
}

/** @throws UsageError when there is no such model */
export async function openMeasurer(options: MeasureOptions): Promise<Measurer> {
  const { model, parts, maxLength = defaultMaxLength, chatTemplate, ray, signal, onPhase } = options;
  if (isSmollm2(model)) await makeSmollm2(signal, onPhase);
  const path = isSmollm2(model) ? smollm2Folder() : resolveModelFolder(model, options.option, "smollm2");
  const template = chatTemplate === undefined ? "" : hash("sha256", await readWhole(chatTemplate));
  const store = new LikelihoodStore(options.store ?? defaultLikelihoodsPath);
  let process: MeasureProcess | undefined;
  const isFolder = existsSync(path);
  const revision = isFolder ? undefined : (await hubCommit(path)) || undefined;
  const identifyHere = isFolder || revision !== undefined ? await identifyModelFolder(path, signal) : "";
  const start = (): MeasureProcess =>
    (process ??= startMeasuring({
      isReward: parts.includes("reward"),
      model: path,
      name: model,
      revision,
      maxLength,
      chatTemplate,
      log: join(".alpagasus", "likelihood.log"),
      isOffline: isFolder,
      ray,
      modelHash: identifyHere || hash("sha256", path),
      signal,
      onPhase,
    }));
  const stop = () => void process?.stop();
  signal?.addEventListener("abort", stop);
  if (!isFolder && revision === undefined) await start().ready; // it downloads the model: then its commit is known
  const commit = process?.commit?.(); // of a model that was downloaded on a cluster
  const identity =
    identifyHere || (commit === undefined ? await identifyModelFolder(path, signal) : identifyHubModel(path, commit));
  const keyOf = ({ prompt, answer, options: own }: RowParts): Buffer =>
    hash("sha256", JSON.stringify([identity, maxLength, template, prompt, answer, own ?? null]), "buffer").subarray(
      0,
      16,
    );

  const underWay = new Map<string, Promise<LikelihoodOf>>();

  return {
    device: () => process?.device(),
    rowsInFlight: ray ? rowsInFlight(ray) : 0,
    async measure(rows, onCount) {
      signal?.throwIfAborted();
      const keys = rows.map(keyOf);
      const known = keys.map((key) => store.find(key));
      const asked = new Map<string, { readonly at: number; readonly row: RowToMeasure }>(); // by key: identical rows once
      let missing = 0;
      for (const [at, row] of rows.entries()) {
        const needs = parts.filter((part) => known[at]?.[part] === undefined);
        if (needs.length === 0) continue;
        missing++;
        const name = keys[at]!.toString("hex");
        if (!asked.has(name) && !underWay.has(name)) asked.set(name, { at, row: { ...row, needs } });
      }
      if (missing < rows.length) onCount?.(rows.length - missing, { isKnown: true });
      const block = [...asked.values()];
      const results = block.map(() => Promise.withResolvers<LikelihoodOf>());
      for (const { promise } of results) promise.catch(() => {}); // whoever needs it is told
      [...asked.keys()].forEach((name, i) => underWay.set(name, results[i]!.promise));
      const measured = keys.map((key, at) => {
        const likelihood = known[at];
        return likelihood && parts.every((part) => likelihood[part] !== undefined)
          ? Promise.resolve({ likelihood })
          : underWay.get(key.toString("hex"))!;
      });
      if (missing > block.length)
        void Promise.allSettled(measured).then(() => onCount?.(missing - block.length, { isKnown: false }));
      try {
        if (block.length > 0)
          await start().measure(
            block.map(({ row }) => row),
            (some) => {
              const good: { key: Buffer; likelihood: Likelihood }[] = [];
              for (const { at, result: one } of some) {
                const place = block[at]!.at;
                if ("problem" in one) {
                  results[at]!.resolve(one);
                  continue;
                }
                const likelihood = {
                  ...one,
                  answer: one.answer ?? known[place]?.answer,
                  alone: one.alone ?? known[place]?.alone,
                  reward: one.reward ?? known[place]?.reward,
                };
                good.push({ key: keys[place]!, likelihood });
                results[at]!.resolve({ likelihood });
              }
              store.save(good);
              onCount?.(some.length, { isKnown: false });
            },
          );
        return await Promise.all(measured);
      } catch (error) {
        for (const { reject } of results) reject(error);
        signal?.throwIfAborted();
        throw error;
      } finally {
        for (const name of asked.keys()) underWay.delete(name);
      }
    },
    async [Symbol.asyncDispose]() {
      signal?.removeEventListener("abort", stop);
      await process?.stop();
      store[Symbol.dispose]();
    },
  };
}

/** Identifies a model as its name is given, for whether something has to be measured anew. `smollm2` is always the same. */
export async function identifyMeasurer(model: string): Promise<string> {
  return isSmollm2(model) ? model : identifyModelFolder(existsSync(model) ? resolve(model) : model);
}
