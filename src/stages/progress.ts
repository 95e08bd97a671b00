/** How far a stage has come. */
export interface Progress {
  readonly stage: "rate" | "select" | "distill" | "compare" | "train" | "generate";
  /** What is being done, in a word or two: `rating`, `comparing texts`. */
  readonly doing: string;
  readonly done: number;
  /** Undefined while it is not known: files are not counted before they are read. */
  readonly total?: number;
  readonly unit: "rows" | "pairs" | "percent" | "steps" | "prompts" | "calls" | "seconds";
  /** Further figures, ready to be shown: `loss 1.234`. */
  readonly note?: string;
  /** How the calls to a model go, where there are any; US dollars of this command, null when no price is known. */
  readonly calls?: {
    readonly inFlight: number;
    /** To be tried again. */
    readonly waiting: number;
    readonly failed: number;
    readonly paidUsd: number | null;
  };
}

/** What every stage accepts beside its own options. */
export interface StageOptions {
  /** What the user typed, kept in the manifest so that everyone can do it again. */
  readonly command?: string;
  /** Called often; whoever shows it decides how often to. */
  readonly onProgress?: (progress: Progress) => void;
  /** Stops the stage; nothing half-written stays behind. */
  readonly signal?: AbortSignal;
}
