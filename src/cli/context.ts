/** What a command gets from the program that runs it. */
export interface CommandContext {
  readonly signal: AbortSignal;
  /** The command line that the user typed, quoted for a shell. */
  readonly command: string;
  /** The exit code of a command that does not throw: 0 unless, for example, a gate did not hold. */
  exitCode: number;
  /** The exit code if the user or the system stopped the command. */
  interruptedWith: number;
}
