import { rename, writeFile } from "node:fs/promises";
import { readWhole } from "../files/read-file.ts";
import { join } from "node:path";
import * as z from "zod";
import { RunError } from "../errors.ts";
import { partialPath } from "../files/atomic-file.ts";
import { tryParse } from "../files/try-parse.ts";
import { placeFrom, typedCommand } from "../run/recorded-path.ts";
import type { RunFolder } from "../run/run-folder.ts";

/*
 * Records which tasks of an experiment are done, and with which inputs: `experiment.json` in the run's folder.
 */

const entrySchema = z.object({
  /** What the result depends on, by name: hashes and settings. */
  inputs: z.record(z.string(), z.string()),
  /** Hash of the result. */
  output: z.string(),
  startedAt: z.string(),
  wallMs: z.number(),
});
type LedgerEntry = z.infer<typeof entrySchema>;

const ledgerSchema = z.object({
  version: z.literal(1),
  /** The command that runs the experiment, so that `status` can name it. */
  command: z.string().optional(),
  /** The folder that it was typed in, relative to the run's, and the run's folder from there. */
  commandFolder: z.string().optional(),
  place: z.string().optional(),
  tasks: z.record(z.string(), entrySchema),
});

export interface Ledger {
  /** Whether no experiment has begun in the folder. */
  readonly isNew: boolean;
  find(task: string): LedgerEntry | undefined;
  /** Records the command that runs the experiment. */
  begin(command: string | undefined): Promise<void>;
  /** Records that a task is done; it is on disk when this resolves. */
  note(task: string, entry: LedgerEntry): Promise<void>;
  /** Forgets a task, so that it is done again. */
  forget(task: string): void;
  /** Whether a task that was done is forgotten. */
  isForgotten(task: string): boolean;
}

/** @throws RunError when it is damaged */
export async function openLedger({ folder }: Pick<RunFolder, "folder">): Promise<Ledger> {
  const path = join(folder, "experiment.json");
  const text = await readWhole(path, "utf8").catch(() => undefined);
  const found = ledgerSchema.safeParse(text === undefined ? { version: 1, tasks: {} } : tryParse(text));
  if (!found.success)
    throw new RunError(
      `${path}: expected the record of an experiment's tasks, got something else; remove it, and every task is run again, with stored replies where there are any`,
    );
  const { tasks } = found.data;
  let { command, commandFolder, place } = found.data;
  let writing = Promise.resolve();
  const forgotten = new Set<string>();
  const write = async () => {
    const partial = partialPath(path);
    await writeFile(partial, `${JSON.stringify({ version: 1, command, commandFolder, place, tasks }, null, 2)}\n`);
    await rename(partial, path);
  };
  return {
    isNew: text === undefined,
    async begin(given) {
      ({ command, commandFolder } = { commandFolder: undefined, ...typedCommand(given, { folder }) });
      place = given === undefined ? undefined : placeFrom(process.cwd(), folder);
      writing = writing.then(write);
      await writing;
    },
    find: (task) => tasks[task],
    forget(task) {
      if (Object.hasOwn(tasks, task)) forgotten.add(task);
      delete tasks[task];
    },
    isForgotten: (task) => forgotten.has(task),
    async note(task, entry) {
      tasks[task] = entry;
      writing = writing.then(write); // one after the other
      await writing;
    },
  };
}

/** The command that ran an experiment in this folder; undefined where none has begun. */
export async function readExperimentCommand({
  folder,
}: Pick<RunFolder, "folder">): Promise<
  | { readonly command: string; readonly commandFolder?: string | undefined; readonly place?: string | undefined }
  | undefined
> {
  const text = await readWhole(join(folder, "experiment.json"), "utf8").catch(() => "");
  const found = ledgerSchema.safeParse(tryParse(text));
  if (!found.success || found.data.command === undefined) return undefined;
  const { command, commandFolder, place } = found.data;
  return { command, commandFolder, place };
}
