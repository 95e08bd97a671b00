import { openEmbedder } from "../../embedding/open.ts";
import { allTexts } from "../../embedding/texts.ts";
import { hashData, hashText } from "../../experiment/hashes.ts";
import { hashFile } from "../../files/hash-file.ts";
import type { Embedding } from "../../experiment/resolve.ts";
import type { Task } from "../../experiment/task.ts";
import { isModelName } from "../../llm/model-name.ts";
import { requestKey } from "../../llm/request.ts";
import { isMinilm } from "../../python/minilm.ts";
import { identifyModelFolder } from "../../python/model-folder.ts";
import { isSmollm2 } from "../../python/smollm2.ts";
import { embed, planEmbedding } from "../embed.ts";
import { endOf, type Context } from "./context.ts";
import { embedId, rateId } from "./ids.ts";

/** Makes vectors of the rows, and of the files that arms choose rows near to. */
export function embedTask(context: Context, { name, model, declared, targets }: Embedding): Task {
  const { text, max_length: maxLength } = declared;
  const isServed = isModelName(model);
  const summary = async () => (await context.manifest())?.embeddings?.[name];
  const id = embedId(name);
  return {
    id,
    stage: "embed",
    needs: [rateId],
    resource: isServed ? "calls" : context.serving ? "cluster" : "machine",
    takes: context.serving && (() => context.takenByServers()),
    needsUv: !isServed && (!context.serving || isSmollm2(model) || isMinilm(model)),
    async inputs() {
      const files = await Promise.all(targets.map(async (target) => [target, await hashData(target)]));
      return {
        rows: (await context.manifest())?.dataset?.hash ?? "none",
        model,
        ...(!isServed &&
          !isMinilm(model) &&
          !isSmollm2(model) && { "the model's files": await identifyModelFolder(model) }),
        text,
        ...(maxLength !== undefined && { max_length: String(maxLength) }),
        ...(Object.fromEntries(files) as Record<string, string>),
      };
    },
    async output() {
      const found = await summary();
      if (!found) return undefined;
      const paths = [found.vectors, ...Object.values(found.targets)].map(({ path }) => path);
      const hashes = await Promise.all(paths.map(hashFile));
      return hashes.includes(undefined) ? undefined : hashText(JSON.stringify(hashes));
    },
    async estimate(rows) {
      if (!isServed) return { what: `${rows ?? (await context.countRows())} rows` };
      const embedder = await openEmbedder(model, { ...(await context.asking(model)), forPlan: true });
      try {
        const { calls, expectedUsd, highestUsd } = await planEmbedding({
          dataset: () => context.openDataset(),
          embedder,
          text,
          targets,
        });
        return { what: `${calls.left} calls`, expectedUsd: expectedUsd ?? undefined, highestUsd };
      } finally {
        await embedder.close();
      }
    },
    async *calls() {
      if (!(await summary())?.calls) return;
      const embedder = await openEmbedder(model, { ...(await context.asking(model)), forPlan: true });
      try {
        const { identity } = embedder.asker!.model;
        for await (const texts of allTexts(() => context.openDataset(), text, targets))
          for (const request of texts.flatMap((one) => embedder.ask(one))) yield requestKey(identity, request);
      } finally {
        await embedder.close();
      }
    },
    ...context.retried(async () => {
      const found = await summary();
      const files = found ? [found.vectors, ...Object.values(found.targets)] : [];
      return files.reduce((sum, { rows, embedded }) => sum + rows - embedded, 0);
    }),
    async run() {
      const embedder = await openEmbedder(model, {
        ...(await context.asking(model)),
        maxLength,
        ...(!isServed && { ray: context.serving }),
      });
      try {
        const { gates, calls } = await embed({
          ...context.stage(id),
          embedder,
          name,
          text,
          maxLength,
          targets,
          overwrite: true,
          minCoverage: declared.min_coverage,
        });
        return endOf(gates, calls);
      } finally {
        await embedder.close();
      }
    },
  };
}
