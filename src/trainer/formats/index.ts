import { axolotl } from "./axolotl.ts";
import type { TrainerFormat, TrainerName } from "./format.ts";
import { llamaFactory } from "./llama-factory.ts";
import { trl } from "./trl.ts";

/** All supported trainers. Add new ones here. */
export const trainerFormats: Readonly<Record<TrainerName, TrainerFormat>> = {
  trl,
  axolotl,
  "llama-factory": llamaFactory,
};
