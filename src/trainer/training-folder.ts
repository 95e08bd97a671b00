import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Example } from "../dataset/example.ts";
import { openAtomicFile } from "../files/atomic-file.ts";
import { chatTemplateFile, type TrainerFormat } from "./formats/format.ts";
import type { TrainingPlan } from "./plan-training.ts";
import type { TrainingRecipe } from "./recipe.ts";
import { pythonFolder } from "../python/uv.ts";
import { makeFolder } from "../files/make-folder.ts";

/*
 * A training folder: data, settings, pinned Python packages and `run.sh`, which runs without alpagasus.
 */

/** The paths of a training's files. */
export interface TrainingFolder {
  readonly folder: string;
  readonly data: string;
  readonly log: string;
  readonly output: string;
  readonly rows: string;
  readonly checks: string;
  /** Holds the id of the process that is training there. */
  readonly owner: string;
  /** Settings and hash of the training. The text does not depend on the folder's name. */
  readonly settings: string;
}

export function trainingFolder(folder: string): TrainingFolder {
  return {
    folder,
    data: join(folder, "data", "train.jsonl"),
    log: join(folder, "log.txt"),
    output: join(folder, "output"),
    rows: join(folder, "rows.json"),
    checks: join(folder, "checks.json"),
    owner: join(folder, "training.pid"),
    settings: join(folder, "training.json"),
  };
}

const probeRows = 8; // the first training rows; an equal loss on them shows that the saved model is the trained one

/** Writes the rows in the trainer's format, and the probe rows. Returns the number of rows. */
export async function writeTrainingData(
  folder: TrainingFolder,
  batches: AsyncIterable<readonly Example[]>,
  template: TrainingRecipe["template"],
  trainer: TrainerFormat,
): Promise<number> {
  const train = openAtomicFile(folder.data);
  const probe = openAtomicFile(join(folder.folder, "data", "test.jsonl"));
  let rows = 0;
  try {
    for await (const batch of batches) {
      for (const example of batch) {
        const line = `${JSON.stringify(trainer.row(example, template))}\n`;
        await train.write(line);
        if (rows++ < probeRows) await probe.write(line);
      }
    }
    await train.commit();
    await probe.commit();
  } finally {
    await train.discard();
    await probe.discard();
  }
  return rows;
}

/** Writes all files except the data. */
export async function writeTrainingFolder(
  folder: TrainingFolder,
  plan: TrainingPlan,
  base: string,
  trainingHash: string,
  trainer: TrainerFormat,
): Promise<void> {
  const { settings } = plan;
  const files = trainer.files(plan, base);
  makeFolder(join(folder.folder, "data"));
  const chatTemplate = settings.template === "alpaca" && trainer.chatTemplate ? chatTemplateFile : null;
  await copyFile(join(pythonFolder, trainer.requirements), join(folder.folder, "requirements.txt"));
  for (const name of trainer.scripts) await copyFile(join(pythonFolder, name), join(folder.folder, name));
  if (chatTemplate && trainer.chatTemplate)
    await writeFile(
      join(folder.folder, chatTemplate),
      trainer.chatTemplate(await readFile(join(pythonFolder, "alpaca.jinja"), "utf8")),
    );
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.folder, name), text);
  await writeFile(
    folder.settings,
    `${JSON.stringify(
      {
        trainer: trainer.name,
        template: settings.template,
        base,
        chatTemplate,
        method: settings.method,
        maxLength: settings.max_length,
        precision: settings.precision,
        quantisation: settings.quantisation ?? null,
        gpus: plan.gpus,
        usdPerHour: plan.usdPerHour ?? null,
        hash: trainingHash,
      },
      null,
      2,
    )}\n`,
  );
  await writeFile(join(folder.folder, "run.sh"), runScript(trainer), { mode: 0o755 });
}

const runScript = ({ commands }: TrainerFormat) => `#!/bin/sh
# Trains the model of this folder. Needs uv (https://docs.astral.sh/uv/).
# Run it again after an interruption: it resumes from the last checkpoint.
set -eu
cd "$(dirname "$0")"

with_parts() {
  uv run --no-progress --no-project --python 3.11 --with-requirements requirements.txt -- "$@"
}

${commands}
echo "alpagasus: done"
`;
