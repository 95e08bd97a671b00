import { appendFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import type { RayCluster } from "./ray.ts";
import type { RayJob } from "./ray-job.ts";

const mostSaidLines = 400;

/** A job that has ended, and its last lines. */
export interface EndedJob extends RayJob {
  readonly said: readonly string[];
}

export interface FollowOptions {
  /** The file that the job's output is appended to. */
  readonly log: string;
  /** Called for every line of output. Returning true keeps the line out of `said`. */
  readonly onLine: (line: string) => boolean;
}

/** Follows a job to its end. @throws RunError when the cluster answers no more */
export async function followJob(cluster: RayCluster, id: string, { log, onLine }: FollowOptions): Promise<EndedJob> {
  const said: string[] = [];
  let rest = "";
  const read = (text: string) => {
    appendFileSync(log, text);
    const lines = (rest + text).split(/\r?\n|\r/);
    rest = lines.pop()!;
    for (const line of lines.map(withoutWorker)) if (!onLine(line)) said.push(line);
    said.splice(0, said.length - mostSaidLines);
  };
  return { ...(await cluster.follow(id, read)), said };
}

/** A line of a worker without its name and colours: `(RayTrainWorker pid=7, ip=10.0.0.2) …`. */
function withoutWorker(line: string): string {
  return stripVTControlCharacters(line).replace(/^\([\w.:]+ pid=\d+[^)]*\) /, "");
}
