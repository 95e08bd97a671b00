import { createHash, hash } from "node:crypto";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { readFile } from "node:fs/promises";
import { UsageError } from "../errors.ts";
import { hashModelFolder, hubCommit } from "../files/model-hash.ts";
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
}

/** @throws UsageError when there is no such model */
export async function openMeasurer(options: MeasureOptions): Promise<Measurer> {
  const { model, parts, maxLength = defaultMaxLength, chatTemplate, signal, onPhase } = options;
  if (isSmollm2(model)) await makeSmollm2(signal, onPhase);
  const path = resolveModel(options);
  const template = chatTemplate === undefined ? "" : hash("sha256", await readFile(chatTemplate));
  const store = new LikelihoodStore(options.store ?? defaultLikelihoodsPath);
  let process: MeasureProcess | undefined;
  const isFolder = existsSync(path);
  const start = (): MeasureProcess =>
    (process ??= startMeasuring({
      model: path,
      name: model,
      maxLength,
      chatTemplate,
      log: join(".alpagasus", "likelihood.log"),
      isOffline: isFolder,
      onPhase,
    }));
  const stop = () => void process?.stop();
  signal?.addEventListener("abort", stop);
  if (!isFolder && (await hubCommit(path)) === "") await start().ready; // it downloads the model: then its commit is known
  const identity = await identifyModel(path, signal);
  const keyOf = ({ prompt, answer, options: own }: RowParts): Buffer =>
    hash("sha256", JSON.stringify([identity, maxLength, template, prompt, answer, own ?? null]), "buffer").subarray(
      0,
      16,
    );

  return {
    device: () => process?.device(),
    async measure(rows, onCount) {
      signal?.throwIfAborted();
      const keys = rows.map(keyOf);
      const found: (LikelihoodOf | undefined)[] = keys.map((key) => {
        const likelihood = store.find(key);
        return likelihood && { likelihood };
      });
      const missing = rows.flatMap((row, at) => {
        const known = found[at];
        const needs = parts.filter((part) => !(known && "likelihood" in known && known.likelihood[part]));
        return needs.length === 0 ? [] : [{ at, row: { ...row, needs } }];
      });
      if (missing.length < rows.length) onCount?.(rows.length - missing.length, { isKnown: true });
      if (missing.length > 0) {
        try {
          await start().measure(
            missing.map(({ row }) => row),
            (results) => {
              const good: { key: Buffer; likelihood: Likelihood }[] = [];
              for (const { at, measured } of results) {
                const place = missing[at]!.at;
                const known = found[place];
                if ("problem" in measured) {
                  found[place] = measured;
                  continue;
                }
                const before = known && "likelihood" in known ? known.likelihood : undefined;
                const likelihood = {
                  ...measured,
                  answer: measured.answer ?? before?.answer,
                  alone: measured.alone ?? before?.alone,
                };
                found[place] = { likelihood };
                good.push({ key: keys[place]!, likelihood });
              }
              store.save(good);
              onCount?.(results.length, { isKnown: false });
            },
          );
        } catch (error) {
          signal?.throwIfAborted();
          throw error;
        }
      }
      return found.map((one) => one!);
    },
    async [Symbol.asyncDispose]() {
      signal?.removeEventListener("abort", stop);
      await process?.stop();
      store[Symbol.dispose]();
    },
  };
}

function resolveModel({ model, option }: MeasureOptions): string {
  if (isSmollm2(model)) return smollm2Folder();
  if (existsSync(join(model, "config.json")) || existsSync(join(model, "adapter_config.json"))) return resolve(model);
  if (existsSync(model) || !/^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(model))
    throw new UsageError(
      `${option}: expected a folder with a model (config.json), a Hub id (owner/name) or smollm2, got ${JSON.stringify(model)}`,
    );
  return model;
}

/** SHA-256 over a folder's files, or over a Hub id and the commit that is cached. */
async function identifyModel(path: string, signal?: AbortSignal): Promise<string> {
  const sha = createHash("sha256");
  if (existsSync(path)) await hashModelFolder(path, sha, signal);
  else sha.update(`${path}\0${await hubCommit(path)}`);
  return sha.digest("hex");
}
