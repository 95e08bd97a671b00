import { commonAdvice, type Advice } from "../python/failure.ts";

/** What usually goes wrong in a training, and what to do about it. */
export const trainerAdvice: readonly Advice[] = [
  [
    /out of memory|OutOfMemoryError|std::bad_alloc/i,
    "not enough memory: fewer rows at a time (--device-batch 1), more GPUs, a shorter --max-length, or a recipe with LoRA or QLoRA",
  ],
  [
    /RepositoryNotFoundError|is not a local folder and is not a valid model identifier|Can't load the configuration/i,
    "the base model was not found: a Hub id or a folder is expected (--base)",
  ],
  [
    /LocalEntryNotFoundError|couldn't connect to|OfflineModeIsEnabled|Name or service not known|Connection(?:Error|refused)/i,
    "the Hub cannot be reached: name a folder with --base, or --base smollm2, which needs no Hub",
  ],
  [/No space left on device|ENOSPC/i, "the disk is full: a checkpoint of full training takes some 12 bytes a weight"],
  [
    /Some specified arguments are not used|unrecognized arguments|unexpected keyword argument/i,
    "the trainer does not know a setting: its version is not that of requirements.txt",
  ],
  [/expected a model with a chat template/i, "the base model has no chat template: --template alpaca"],
  ...commonAdvice,
];
