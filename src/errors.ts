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

/** The arguments of a command or function make no sense: an unknown flag, a threshold outside the scale. */
export class UsageError extends AlpagasusError {
  override readonly exitCode = 2;
  override name = "UsageError";
}

/** A file or row is invalid. The message begins with its place. */
export class DataError extends AlpagasusError {
  override readonly exitCode = 2;
  override name = "DataError";
}

/** The run folder does not fit the command: no ratings yet, ratings of other data, a damaged manifest. */
export class RunError extends AlpagasusError {
  override readonly exitCode = 2;
  override name = "RunError";
}

/** The trainer is missing or failed. The message has its last output, and advice if there is any. */
export class PythonError extends AlpagasusError {
  override name = "PythonError";
}

/**
 * The reason of a signal that stops work because the system ends the command (SIGTERM, SIGHUP): calls in flight are awaited for
 * seconds only. After Ctrl-C they are awaited to their end.
 */
export class Terminated extends Error {
  constructor(signal: string) {
    super(`ended by ${signal}`);
    this.name = "AbortError";
  }
}

/** A value's type as error messages name it: `null`, `array`, `number`. */
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
