import { trackerAdvice } from "../python/trackers.ts";
import { commonAdvice, failures, type Advice } from "../python/failure.ts";

/** Common training failures, and what to do about them. */
export const trainerAdvice: readonly Advice[] = [
  [
    failures.memory,
    "not enough memory: fewer rows at a time (--device-batch 1), more GPUs, a shorter --max-length, or a recipe with LoRA or QLoRA",
  ],
  ...trackerAdvice,
  [failures.noModel, "the base model was not found: a Hub id or a folder is expected (--base)"],
  [failures.noHub, "the Hub cannot be reached: name a folder with --base, or --base smollm2, which needs no Hub"],
  [failures.noSpace, "the disk is full: a checkpoint of full training takes about 12 bytes per weight"],
  [
    failures.unknownSetting,
    "the trainer does not know a setting: its installed version is not the one in requirements.txt",
  ],
  [/expected a model with a chat template/i, "the base model has no chat template: --template alpaca"],
  ...commonAdvice,
];
