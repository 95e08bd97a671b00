/** What a command needs from around it. */
export interface CommandContext {
  readonly signal: AbortSignal;
  /** What the user typed, as a shell would take it again. */
  readonly command: string;
  /** What the command ends with instead of 0: a gate did not hold. */
  exitCode: number;
  /** The exit code of a command that the user or the system stopped. */
  interruptedWith: number;
}
