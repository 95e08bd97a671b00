/** Progress of a stage. */
export interface Progress {
  readonly stage:
    | "rate"
    | "select"
    | "distill"
    | "compare"
    | "train"
    | "generate"
    | "evaluate"
    | "benchmark"
    | "embed"
    | "report";
  /** What is being done, in a word or two: `rating`, `comparing texts`. */
  readonly doing: string;
  readonly done: number;
  /** How many of these were there before, such as replies in the store: they say nothing of the speed. */
  readonly found?: number | undefined;
  /** Undefined while unknown: files are not counted before they are read. */
  readonly total?: number | undefined;
  readonly unit: "rows" | "pairs" | "percent" | "steps" | "prompts" | "calls" | "seconds";
  /** Further figures, ready to be shown: `loss 1.234`. */
  readonly note?: string | undefined;
  /** Calls to a model, if any; `paidUsd` is what this command paid, null when no price is known. */
  readonly calls?: {
    readonly inFlight: number;
    /** Waiting for another attempt. */
    readonly waiting: number;
    readonly failed: number;
    readonly paidUsd: number | null;
    /** What went wrong lately. */
    readonly trouble?: string | undefined;
  };
}

/** What every stage accepts besides its own options. */
export interface StageOptions {
  /** The command as typed, kept in the manifest so that anyone can repeat it. */
  readonly command?: string | undefined;
  /** Called often; the receiver decides how often to show it. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Stops the stage, without leaving partly written files. */
  readonly signal?: AbortSignal | undefined;
}
