/**
 * Errors that stop a command. What happens to one row (a refusal, an unreadable reply) is data, never an exception.
 *
 * A message is one line: place, expected, got, and the next step when there is an obvious one, for example
 * `train.jsonl:17: expected "instruction" to be a string, got number`.
 */
export class AlpagasusError extends Error {
  /** The exit code of a command that stops with this error. */
  readonly exitCode: number = 1;
  override name = "AlpagasusError";
}

/** The command or function was asked for something that makes no sense: an unknown flag, a threshold off the scale. */
export class UsageError extends AlpagasusError {
  override readonly exitCode = 2;
  override name = "UsageError";
}

/** A file or row is not what it must be. The message begins with its place. */
export class DataError extends AlpagasusError {
  override readonly exitCode = 2;
  override name = "DataError";
}

/** The run folder does not fit what was asked: no ratings yet, ratings of other data, a damaged manifest. */
export class RunError extends AlpagasusError {
  override readonly exitCode = 2;
  override name = "RunError";
}

/** The trainer is not there, or it failed: its last words, and advice where there is some. */
export class TrainerError extends AlpagasusError {
  override name = "TrainerError";
}

/** What a value is, in the words an error message uses: `null`, `array`, `number`. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "array";
  return typeof value;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
