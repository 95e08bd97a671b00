import { openDataset } from "../../dataset/open.ts";
import { hashFiles, hashText, identifyModel } from "../../experiment/hashes.ts";
import type { Evaluation } from "../../experiment/resolve.ts";
import type { Task } from "../../experiment/task.ts";
import { evaluateLoss } from "../evaluate.ts";
import type { Context } from "./context.ts";
import { evaluateId, evaluationName, trainId } from "./ids.ts";
import { trainedGroups } from "./trained-groups.ts";

/** Measures the loss of all trained models on held-out answers; what was measured of a model is not measured again. */
export function evaluateTask(context: Context, { declared, loss }: Evaluation): Task {
  const groups = trainedGroups(context.experiment);
  const trained = groups.flatMap(({ models }) => models);
  const open = () => openDataset([loss], { signal: context.options.signal });
  return {
    id: evaluateId,
    stage: "evaluate",
    needs: trained.map(trainId),
    resource: "machine",
    needsUv: true,
    async inputs() {
      const models = (await context.manifest())?.models;
      return {
        rows: await hashFiles((await open()).files.map(({ path }) => path)),
        ...(declared.max_length !== undefined && { max_length: String(declared.max_length) }),
        ...Object.fromEntries(trained.map((model) => [model, identifyModel(models?.[model])])),
      };
    },
    async output() {
      const result = (await context.manifest())?.losses?.[evaluationName];
      return result && hashText(result.lossesHash);
    },
    async estimate() {
      let rows = 0;
      for await (const batch of (await open()).batches()) rows += batch.length;
      return { what: `${rows} answers by ${trained.length} models` };
    },
    async run() {
      const { gates } = await evaluateLoss(await open(), {
        ...context.stage(evaluateId),
        name: evaluationName,
        models: groups,
        maxLength: declared.max_length,
        signal: context.options.signal,
      });
      return { gates };
    },
  };
}
