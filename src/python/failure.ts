import { PythonError } from "../errors.ts";

/*
 * Describes why a Python command failed, in one line: its own error, and advice for common failures.
 */

const lastLines = 12; // shown when no line looks like an error
const mostCharacters = 600;

/** A pattern that shows a failure in the log, and what to do about it. */
export type Advice = readonly [pattern: RegExp, advice: string];

/** Log patterns of common failures. */
export const failures = {
  memory: /out of memory|OutOfMemoryError|std::bad_alloc/i,
  gated: /gated repo|GatedRepoError|401 Client Error|awaiting a review/i,
  noModel:
    /RepositoryNotFoundError|is not a local folder and is not a valid model identifier|Can't load the configuration/i,
  noHub:
    /LocalEntryNotFoundError|couldn't connect to|OfflineModeIsEnabled|Name or service not known|Connection(?:Error|refused)/i,
  noSpace: /No space left on device|ENOSPC/i,
  unknownSetting: /Some specified arguments are not used|unrecognized arguments|unexpected keyword argument/i,
  noParts: /No solution found when resolving|Failed to (?:fetch|download)|error sending request/i,
} as const;

/** Advice that holds for any Python command. */
export const commonAdvice: readonly Advice[] = [
  [failures.gated, "the base model is gated: accept its licence on the Hub and set HF_TOKEN"],
  [failures.noModel, "the model was not found: a Hub id or a folder is expected"],
  [failures.noHub, "the Hub cannot be reached: name a folder, or smollm2, which needs no Hub"],
  [failures.noSpace, "the disk is full"],
  [failures.unknownSetting, "a setting is unknown: the installed version is not the one in the requirements"],
  [failures.noParts, "uv could not install the Python packages: check the network and the package index"],
];

/** The advice for the first failure found in a log; undefined when there is none. */
export function adviseOn(log: string, advice: readonly Advice[] = commonAdvice): string | undefined {
  return advice.find(([pattern]) => pattern.test(log))?.[1];
}

/** The last line in which Python code says what went wrong. */
export function lastError(said: readonly string[]): string | undefined {
  return (
    said.findLast((line) => /^(?:launch|train|ray_train|ray_serve|ray_score)\.py: /.test(line)) ?? // our own scripts say it in one line
    said.findLast(
      (line) =>
        /^(?:\[rank\d+\]: )?[\w.]*(Error|Exception|Interrupt)\b.*:/.test(line) &&
        !/^(subprocess|torch\.distributed)\./.test(line),
    )
  );
}

/**
 * Creates the error of a command that failed.
 *
 * @param what the command's log and name: `models/selected/log.txt: the trainer`
 * @param code its exit code; null when a signal ended it
 * @param said the last lines of its output
 * @param advices advice for its common failures
 */
export function describeFailure(
  what: string,
  code: number | null,
  said: readonly string[],
  advices: readonly Advice[] = commonAdvice,
): PythonError {
  const advice = adviseOn(said.join("\n"), advices);
  const cause = lastError(said) ?? said.slice(-lastLines).join(" | ");
  return new PythonError(
    `${what} ended with ${code === null ? "a signal" : `code ${code}`}: ${cause.slice(0, mostCharacters)}${advice === undefined ? "" : `; ${advice}`}`,
  );
}
