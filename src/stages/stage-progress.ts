import type { BatchProgress } from "../llm/batches/batch-asker.ts";
import type { CallsReport } from "../llm/call-tally.ts";
import { openProgressFile } from "../run/progress-file.ts";
import type { RunFolder } from "../run/run-folder.ts";
import type { Work } from "../run/work.ts";
import { describeBatchProgress, describeCallProgress } from "./describe-calls.ts";
import type { Progress, StageOptions } from "./progress.ts";

const progressMs = 1_000;

export interface StageProgressOptions extends Pick<StageOptions, "onProgress"> {
  readonly run: RunFolder;
  readonly stage: Progress["stage"];
  /** What it does, in a word or two: `rating`. */
  readonly doing: string | (() => string);
  readonly unit: Progress["unit"];
  readonly total: number | undefined;
  /** How much is done now. */
  readonly done: (calls: CallsReport | undefined) => number;
  /** The calls to a model so far; absent for stages that make none. */
  readonly calls?: (() => CallsReport) | undefined;
  /** What a reader of the run needs to know while rows are rated. */
  readonly rating?: Work["rating"];
}

/**
 * The progress of a stage that asks a judge or a model, shown to the user and in the run's folder. Between `begin` and the end it is
 * shown every second, since calls can take long without a result.
 */
export class StageProgress implements Disposable {
  readonly #options: StageProgressOptions;
  readonly #file: ReturnType<typeof openProgressFile>;
  #clock: NodeJS.Timeout | undefined;

  constructor(options: StageProgressOptions) {
    this.#options = options;
    this.#file = openProgressFile(options.run, options.rating);
  }

  /** Shows progress of any other kind. */
  show(progress: Omit<Progress, "stage">): void {
    const all = { stage: this.#options.stage, ...progress };
    this.#options.onProgress?.(all);
    this.#file.show(all);
  }

  /** Shows batches that are waited for, before the stage begins. */
  readonly showBatches = (batches: BatchProgress): void => {
    this.show(describeBatchProgress(batches, this.#options.calls?.()));
  };

  begin(): void {
    this.#clock = setInterval(() => this.update(), progressMs).unref();
  }

  update(): void {
    const { doing, unit, total, done } = this.#options;
    const calls = this.#options.calls?.();
    this.show({
      doing: typeof doing === "string" ? doing : doing(),
      done: done(calls),
      found: calls && calls.stored + calls.shared,
      total,
      unit,
      ...describeCallProgress(calls),
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#clock);
    this.#file[Symbol.dispose]();
  }
}
