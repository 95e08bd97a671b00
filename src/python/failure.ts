import { TrainerError } from "../errors.ts";

/*
 * What went wrong in Python, in one line: its own last words, and a word of advice for the usual failures.
 */

const lastLines = 12; // where no line looks like an error
const mostCharacters = 600;

const advices: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [
    /out of memory|OutOfMemoryError|std::bad_alloc/i,
    "not enough memory: fewer rows at a time (--device-batch 1), more GPUs, a shorter --max-length, or a recipe with LoRA or QLoRA",
  ],
  [
    /gated repo|GatedRepoError|401 Client Error|awaiting a review/i,
    "the base model is gated: accept its licence on the Hub and set HF_TOKEN",
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
  [
    /No solution found when resolving|Failed to (?:fetch|download)|error sending request/i,
    "uv could not install the trainer: look at the network and the package index",
  ],
  [/expected a model with a chat template/i, "the base model has no chat template: --template alpaca"],
];

/** A word of advice for the usual ways to fail; undefined for the others. */
export function adviseOn(log: string): string | undefined {
  return advices.find(([pattern]) => pattern.test(log))?.[1];
}

/**
 * The error of a command that failed.
 *
 * @param what its log and name: `models/selected/log.txt: the trainer`
 * @param code its exit code; null where a signal ended it
 * @param said its last lines
 */
export function describeFailure(what: string, code: number | null, said: readonly string[]): TrainerError {
  const advice = adviseOn(said.join("\n"));
  const cause =
    said.findLast(
      (line) =>
        /^[\w.]*(Error|Exception|Interrupt)\b.*:/.test(line) && !/^(subprocess|torch\.distributed)\./.test(line),
    ) ?? said.slice(-lastLines).join(" | ");
  return new TrainerError(
    `${what} ended with ${code === null ? "a signal" : `code ${code}`}: ${cause.slice(0, mostCharacters)}${advice === undefined ? "" : `; ${advice}`}`,
  );
}
