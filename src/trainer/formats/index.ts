import { axolotl } from "./axolotl.ts";
import type { TrainerFormat, TrainerName } from "./format.ts";
import { llamaFactory } from "./llama-factory.ts";
import { trl } from "./trl.ts";

/** The trainers that a folder can be written for; a new one is added here. */
export const trainerFormats: Readonly<Record<TrainerName, TrainerFormat>> = {
  trl,
  axolotl,
  "llama-factory": llamaFactory,
};
