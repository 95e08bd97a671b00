import { hash } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { RunReport } from "../page/contract.ts";
import { type Figure, listFigures } from "../page/figures.ts";
import { commonAdvice, describeFailure } from "../python/failure.ts";
import { startGroup, watched } from "../python/process-group.ts";
import { type Tracker, packageOf, trackerAdvice, trackerRequirements } from "../python/trackers.ts";
import { findUv, pythonFolder, readInstallPhase, uvRun } from "../python/uv.ts";
import type { StageOptions } from "./progress.ts";
import type { ReportSummary } from "./report.ts";

/**
 * Logs a report's figures to a tracker, by its own library: each figure under its name, an interval's ends beside it, and the report's files as
 * an artefact. Every call makes a run of its own there.
 *
 * @returns where they are, in the tracker's words
 * @throws PythonError with the library's own words
 */
export async function logFigures(
  { path, jsonPath, run }: Pick<ReportSummary, "path" | "jsonPath" | "run">,
  { tool, signal, onProgress }: StageOptions & { readonly tool: Tracker },
): Promise<string> {
  findUv();
  const report = JSON.parse(await readFile(jsonPath, "utf8")) as RunReport; // as `report` wrote it
  const folder = dirname(resolve(jsonPath));
  const job = join(folder, `.log-${process.pid}.json`);
  await writeFile(
    job,
    JSON.stringify({
      tool,
      name: basename(resolve(run)),
      project: "alpagasus",
      folder: join(folder, "tensorboard"),
      figures: nameMetrics(listFigures(report)),
      files: [resolve(path), resolve(jsonPath)],
    }),
  );
  let place = "";
  const command = uvRun(["python", join(pythonFolder, "log_figures.py"), job], {
    requirements: trackerRequirements,
    packages: [packageOf(tool)],
  });
  const log = join(folder, "log-figures.txt");
  const group = startGroup("sh", watched(["uv", ...command]), {
    log,
    onLine(line) {
      place = /^alpagasus: logged to (.+)$/.exec(line)?.[1] ?? place;
      const phase = readInstallPhase(line);
      if (phase !== undefined) onProgress?.({ stage: "report", doing: phase, done: 0, unit: "steps" });
      return phase !== undefined;
    },
  });
  const stop = () => void group.stop();
  signal?.addEventListener("abort", stop);
  try {
    const code = await group.ended;
    signal?.throwIfAborted();
    if (code !== 0) throw describeFailure(`${log}: ${tool}`, code, group.said, [...trackerAdvice, ...commonAdvice]);
    return place;
  } finally {
    signal?.removeEventListener("abort", stop);
    await rm(job, { force: true });
  }
}

const longestName = 250; // characters; MLflow takes no more

/**
 * Figures as metrics with names of their own: `comparison/A against B by J _all_/winning_score`, the ends of an interval behind it. Signs that a
 * tracker refuses become `_`; a name that is too long, or is another's after that, ends in a part of its hash.
 */
export function nameMetrics(figures: readonly Figure[]): { readonly name: string; readonly value: number }[] {
  const taken = new Set<string>();
  return figures.flatMap(({ part, of, figure, value, low, high, p, n }) => {
    const whole = [part, of, figure].join("/");
    const plain = [part, of, figure].map((text) => text.replaceAll(/[^\p{L}\p{N}_. -]+/gu, "_")).join("/");
    const room = longestName - ".high".length;
    const marked = (text: string) => `${plain.slice(0, room - 9)} ${hash("sha256", text).slice(0, 8)}`;
    const fitting = plain.length > room ? marked(whole) : plain;
    const name = taken.has(fitting) ? marked(`${whole}\0${taken.size}`) : fitting;
    taken.add(name);
    return Object.entries({ "": value, ".low": low, ".high": high, ".p": p, ".n": n }).flatMap(([end, one]) =>
      typeof one === "number" ? [{ name: `${name}${end}`, value: one }] : [],
    );
  });
}
