import { existsSync, readFileSync } from "node:fs";
import { own } from "../files/owner-file.ts";
import { formatCount } from "../format.ts";
import { findUv } from "../python/uv.ts";
import { openAttempts } from "../run/training-attempts.ts";
import { openProgressFile } from "../run/progress-file.ts";
import type { TrainSummary } from "../run/records/training.ts";
import { requireRatings, updateManifest } from "../run/run-folder.ts";
import { isSmollm2, makeSmollm2 } from "../python/smollm2.ts";
import { runOnRay } from "../trainer/run-on-ray.ts";
import { isTrained, readRuntime, runTraining, type RunTrainingOptions } from "../trainer/run-training.ts";
import {
  type PlanTrainOptions,
  type PlannedTraining,
  type TrainOptions,
  describeOwner,
  prepare,
} from "./prepare-training.ts";
import { countedSteps, summarise } from "./train-summary.ts";

/**
 * Writes the training folder of an arm, and estimates what training will take.
 *
 * @throws UsageError for settings that make no sense, RunError when the arm is not there or the name is taken
 */
export async function planTrain(options: PlanTrainOptions): Promise<PlannedTraining> {
  const { planned } = await prepare(options, !options.isFinal);
  return planned;
}

/**
 * Trains a model on an arm, continuing an interrupted attempt, and checks the trained model.
 *
 * @throws PythonError when uv is missing or the trainer fails, with the end of its output; others as `planTrain`
 */
export async function train(options: TrainOptions): Promise<TrainSummary> {
  const startedAt = new Date();
  const { planned, folder, run, arm, trainingHash } = await prepare(options);
  const { model, plan } = planned;
  const before = (await requireRatings(run)).models?.[model];
  if (before?.hash === trainingHash && existsSync(folder.output) && !options.again) {
    options.onTrained?.();
    return before;
  }
  const isMade = isTrained(folder.folder); // elsewhere, or by a process that was killed before it said so
  if (options.ray === undefined && !isMade) findUv();
  using owned = await own(folder.owner, {
    signal: options.signal,
    onWait: (owner) =>
      options.onProgress?.({ stage: "train", doing: `waiting for a sign of ${owner}`, done: 0, unit: "seconds" }),
  });
  if (!owned) throw describeOwner(folder);
  const attempts = await openAttempts(folder.folder);
  using progressFile = openProgressFile(run);
  let { steps, stepsPerEpoch } = plan;
  const tell = (doing: string, done: number, note?: string) => {
    const progress = {
      stage: "train" as const,
      doing,
      done,
      total: steps,
      unit: "steps" as const,
      note,
    };
    options.onProgress?.(progress);
    progressFile.show(progress);
  };
  if (isSmollm2(plan.settings.base) && !isMade) {
    tell("making the base model", 0);
    await makeSmollm2(options.signal, (phase) => tell(phase, 0));
  }
  let trainingSince: number | undefined;
  let first: { readonly at: number; readonly tokens: number } | undefined;
  let spentMs = 0;
  const running: RunTrainingOptions = {
    stepsPerEpoch: () => stepsPerEpoch,
    reportTo: options.reportTo,
    signal: options.signal,
    onPhase(phase) {
      if (phase === "training") {
        trainingSince = Date.now();
        // a cluster counts where it writes, which this machine may not see
        if (existsSync(folder.rows)) ({ steps, stepsPerEpoch } = countedSteps(plan, readFileSync(folder.rows, "utf8")));
      } else if (trainingSince !== undefined) {
        spentMs = Date.now() - trainingSince;
        attempts.spent(spentMs, (first?.at ?? Date.now()) - trainingSince);
        trainingSince = undefined;
      }
      if (phase !== "done") tell(phase, phase === "checking" ? steps : 0);
    },
    onStep({ step, loss, tokens }) {
      if (trainingSince === undefined) return;
      const now = Date.now();
      first ??= { at: now, tokens };
      attempts.spent(now - trainingSince, first.at - trainingSince);
      const speed = now > first.at ? (tokens - first.tokens) / ((now - first.at) / 1000) : 0;
      tell("training", step, `loss ${loss.toFixed(3)}, ${formatCount(speed)} tokens/s`);
    },
  };
  try {
    if (!isMade && options.ray !== undefined)
      await runOnRay(folder, plan, trainingHash, {
        ...running,
        ...options,
        address: options.ray,
        onNote: options.onNote,
      });
    else if (!isMade) await runTraining(folder, running);
    const trainerMs = await readRuntime(folder);
    if (options.ray !== undefined || trainerMs > spentMs) {
      // its output came late, or not here
      attempts.spent(Math.max(spentMs, trainerMs), Math.max(0, spentMs - trainerMs));
    }
  } finally {
    await attempts.save();
  }
  const summary = await summarise(planned, folder, arm, trainingHash, attempts, options, startedAt);
  await updateManifest(run, (latest) => ({ ...latest!, models: { ...latest!.models, [model]: summary } }));
  return summary;
}
