import { writeFile } from "node:fs/promises";
import { readWhole } from "../files/read-file.ts";
import { join } from "node:path";
import * as z from "zod";
import { tryParse } from "../files/try-parse.ts";

/** How long each attempt at a training took: `attempts.json` of its folder. */
const attemptsSchema = z.array(z.object({ startedAt: z.string(), trainMs: z.number(), startMs: z.number() }));

const costSchema = z.object({ usdPerHour: z.number().nullable() });

/** Training time over all attempts, saved in the training's folder while it runs, since it can end at any time. */
export interface Attempts {
  readonly count: number;
  readonly trainMs: number;
  /** The part of it before each attempt's first step. */
  readonly startMs: number;
  /** Sets the times of this attempt so far. */
  spent(trainMs: number, startMs: number): void;
  save(): Promise<void>;
}

const saveMs = 5_000;

/** @param folder of the training */
export async function openAttempts(folder: string): Promise<Attempts> {
  const path = join(folder, "attempts.json");
  const found = attemptsSchema.safeParse(tryParse(await readWhole(path, "utf8").catch(() => "[]")));
  const attempts = found.success ? found.data : [];
  const current = { startedAt: new Date().toISOString(), trainMs: 0, startMs: 0 };
  attempts.push(current);
  let savedAt = Date.now();
  const save = () => writeFile(path, JSON.stringify(attempts));
  await save();
  return {
    get count() {
      return attempts.length;
    },
    get trainMs() {
      return attempts.reduce((sum, { trainMs }) => sum + trainMs, 0);
    },
    get startMs() {
      return attempts.reduce((sum, { startMs }) => sum + startMs, 0);
    },
    spent(trainMs, startMs) {
      Object.assign(current, { trainMs, startMs });
      if (Date.now() - savedAt < saveMs) return;
      savedAt = Date.now();
      void save().catch(() => {}); // it is saved again at the end
    },
    save,
  };
}

/** The cost of a training's attempts, by the hour, in US dollars. */
export async function costOfTraining(folder: string): Promise<number> {
  const read = async (name: string) => tryParse(await readWhole(join(folder, name), "utf8").catch(() => ""));
  const attempts = attemptsSchema.safeParse(await read("attempts.json"));
  const settings = costSchema.safeParse(await read("training.json"));
  if (!attempts.success || !settings.success) return 0;
  const hours = attempts.data.reduce((sum, { trainMs }) => sum + trainMs, 0) / 3_600_000;
  return hours * (settings.data.usdPerHour ?? 0);
}
