import { join } from "node:path";
import * as z from "zod";
import { startRowsOnRay } from "../cluster/rows-on-ray.ts";
import type { RayServing } from "../cluster/serve.ts";
import { startRowProcess, type RowProcess } from "../python/row-process.ts";
import { pythonFolder } from "../python/uv.ts";
import type { Likelihood, LikelihoodPart } from "./likelihood-store.ts";

/*
 * The process that measures: `python/likelihood.py`, or `python/reward.py` with a reward model. It keeps the model in memory.
 */

/** A row as the process takes it. */
export interface RowToMeasure {
  /** Text, or messages for the model's chat template, with its options. */
  readonly prompt: string | readonly object[];
  readonly answer: string | object;
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  readonly needs: readonly LikelihoodPart[];
}

type Measured = Likelihood | { readonly problem: string };

export type MeasureProcess = RowProcess<RowToMeasure, Measured>;

export interface MeasureProcessOptions {
  readonly isReward: boolean;
  /** A folder, or an id on the Hub. */
  readonly model: string;
  /** The model's name, for messages. */
  readonly name: string;
  /** The commit of a model on the Hub, where it is known. */
  readonly revision?: string | undefined;
  /** The most tokens of a row; the model's own limit counts too. */
  readonly maxLength: number;
  /** The file of a chat template in place of the model's own. */
  readonly chatTemplate?: string | undefined;
  /** The process's output goes here. */
  readonly log: string;
  readonly isOffline?: boolean | undefined;
  /** Measure on a Ray cluster. */
  readonly ray?: RayServing | undefined;
  /** Identifies the model there. */
  readonly modelHash: string;
  readonly signal?: AbortSignal | undefined;
  readonly onPhase?: ((phase: string) => void) | undefined;
}

const sum = z.tuple([z.number().min(0), z.number().int().min(0)]).transform(([nll, tokens]) => ({ nll, tokens }));
const result = z
  .object({
    cut: z.boolean(),
    answer: sum.optional(),
    alone: sum.optional(),
    reward: z.number().optional(),
    problem: z.string().optional(),
  })
  .transform(({ cut, problem, ...parts }): Measured =>
    problem === undefined ? { ...parts, isCut: cut } : { problem },
  );

/** Starts the process, which loads the model; or several, on a Ray cluster. */
export function startMeasuring(options: MeasureProcessOptions): MeasureProcess {
  const { isReward, model, name, revision = "-", maxLength, chatTemplate = "-", log, isOffline, onPhase } = options;
  const started = {
    script: isReward ? "reward.py" : "likelihood.py",
    args: [model, revision, String(maxLength), ...(isReward ? [] : [chatTemplate])],
    env: { TOKENIZERS_PARALLELISM: "false", ...(isOffline && { HF_HUB_OFFLINE: "1" }) },
    doing: `measuring with ${name}`,
    afterFailure: "what was measured before is kept, and the same command goes on",
    result,
    log,
    onPhase,
  };
  if (!options.ray) return startRowProcess(started);
  const imports = [
    ...["row_process.py", "rows.py"].map((file) => join(pythonFolder, file)),
    ...(chatTemplate === "-" ? [] : [chatTemplate]),
  ];
  const { ray, modelHash, signal } = options;
  return startRowsOnRay({ ...started, ray, model, isOnHub: !isOffline, modelHash, imports, signal });
}
