import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { prepare } from "../helpers/command-line.ts";
import { tinyRecipe } from "../helpers/tiny-training.ts";
import { trainerPython } from "../helpers/trainer-python.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

const tinyScript = fileURLToPath(new URL("../trainer/tiny.py", import.meta.url));

/** Full fine-tuning under FSDP of a tiny model, on the CPU: 5 steps an epoch. */
const recipe = { ...tinyRecipe, name: "sharded", sharding: "fsdp", template: "alpaca", epochs: 4, global_batch: 4 };

/** A folder with a run, its arm `selected` of twenty rows, a tiny base model and a recipe, `sharded.yaml`. */
export async function tinyRun(): Promise<TempFolder> {
  const folder = tempFolder();
  const colours = ["red", "blue", "green", "black", "white", "pink", "brown", "grey", "gold", "cyan"];
  folder.write(
    "rows.json",
    colours.flatMap((colour, i) => [
      { instruction: `Name a thing that is ${colour}.`, input: "", output: `A ${colour} hat, number ${i}.` },
      { instruction: `Repeat the colour ${i} times.`, input: colour, output: `${colour} ${colour} and so on` },
    ]),
  );
  folder.write("sharded.yaml", stringify(recipe));
  await prepare(folder.path, ["rate", "rows.json"], ["select", "--top", "20"]);
  trainerPython(tinyScript, ["rows.json", "tiny"], "", folder.path);
  return folder;
}

/** The loss of each step, from the last checkpoint of a training's folder. */
export function lossesOf(training: string): number[] {
  const last = stepsOf(training).at(-1)!;
  const text = readFileSync(`${training}/output/checkpoint-${last}/trainer_state.json`, "utf8");
  const { log_history: history } = JSON.parse(text) as { log_history: { loss?: number }[] };
  return history.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
}

/** The steps of its checkpoints that are complete. */
export function stepsOf(training: string): number[] {
  let names: string[];
  try {
    names = readdirSync(`${training}/output`);
  } catch {
    return []; // none yet
  }
  return names
    .flatMap((name) => {
      const step = Number(/^checkpoint-(\d+)$/.exec(name)?.[1]);
      return Number.isNaN(step) || !readdirSync(`${training}/output/${name}`).includes("trainer_state.json")
        ? []
        : [step];
    })
    .toSorted((a, b) => a - b);
}
