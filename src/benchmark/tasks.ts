import { UsageError } from "../errors.ts";

/** A task of lm-evaluation-harness. */
export interface BenchmarkTask {
  readonly name: string;
  /** Examples in the prompt; the task's own number when left out. */
  readonly shots?: number | undefined;
}

/**
 * The tasks of AlpaGasus's table of benchmarks, with the examples a prompt that its evaluation suite uses (INSTRUCTEVAL,
 * arXiv 2306.04757).
 */
export const paperTasks: readonly BenchmarkTask[] = [
  { name: "mmlu", shots: 5 },
  { name: "bbh_fewshot", shots: 3 },
  { name: "drop", shots: 3 },
  { name: "humaneval", shots: 0 },
];

/**
 * Reads names of tasks, each with its examples after a colon: `mmlu:5`; `paper` stands for the paper's four.
 *
 * @param place for messages @throws UsageError when one has another form, or is there twice
 */
export function readTasks(names: readonly string[], place: string): BenchmarkTask[] {
  const tasks = names.flatMap((text): BenchmarkTask | readonly BenchmarkTask[] => {
    if (text === "paper") return paperTasks;
    const [, name, shots] = /^(\w[\w.+-]*)(?::(\d{1,3}))?$/.exec(text.trim()) ?? [];
    if (name === undefined)
      throw new UsageError(
        `${place}: expected names of the harness's tasks, as in mmlu,drop:3, got ${JSON.stringify(text)}`,
      );
    return shots === undefined ? { name } : { name, shots: Number(shots) };
  });
  const twice = tasks.find(({ name }, i) => tasks.findIndex((other) => other.name === name) < i);
  if (twice) throw new UsageError(`${place}: expected each task once, got ${twice.name} again`);
  return tasks;
}
