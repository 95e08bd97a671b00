/*
 * Benchmarks; each prints one line or a short table. Run all with `npm run bench`, or some: `npm run bench -- select`.
 * They need ../shared/data, GNU time and python3; `memory`, `memory-chats` and `view` also 9 GB of disk and some minutes,
 * `batches` and `servers` three minutes, `calls` taskset and three minutes, `endurance` 3 GB and ten,
 * `likelihood` uv and some minutes, `near-duplicates` uv and two.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageFolder } from "../src/package-folder.ts";
import { benchBatches } from "./batches.ts";
import { benchCalls } from "./calls.ts";
import { benchEndurance } from "./endurance.ts";
import { benchChatMemory, benchMemory } from "./memory.ts";
import { benchLikelihood } from "./likelihood.ts";
import { benchNearDuplicates } from "./near-duplicates.ts";
import { benchRate } from "./rate.ts";
import { benchSelect } from "./select.ts";
import { benchServers } from "./servers.ts";
import { benchStart } from "./start.ts";
import { benchStudent } from "./student.ts";
import { benchView } from "./view.ts";

export interface Bench {
  /** An empty folder that goes away afterwards. */
  readonly folder: string;
  readonly alpaca: string;
  /** The command line as it is published. */
  readonly cli: string;
}

const benches: Record<string, (bench: Bench) => Promise<void>> = {
  start: benchStart,
  rate: benchRate,
  select: benchSelect,
  "near-duplicates": benchNearDuplicates,
  student: benchStudent,
  calls: benchCalls,
  servers: benchServers,
  batches: benchBatches,
  endurance: benchEndurance,
  likelihood: benchLikelihood,
  memory: benchMemory,
  "memory-chats": benchChatMemory,
  view: benchView,
};
const wanted = process.argv.slice(2);

for (const [name, run] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const folder = await mkdtemp(join(tmpdir(), "alpagasus-bench-"));
  try {
    await run({
      folder,
      alpaca: join(packageFolder, "../shared/data/alpaca"),
      cli: join(packageFolder, "dist/bin/alpagasus.js"),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
