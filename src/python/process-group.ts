import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { isProcessAlive } from "../is-process-alive.ts";

/*
 * A command of another program, with all the processes that it starts: a group that is watched, and ended as a whole.
 */

export interface ProcessGroup {
  /** The number of its first process, and of the group. */
  readonly pid: number;
  /** Resolves with the exit code when it has ended; null where a signal ended it. */
  readonly ended: Promise<number | null>;
  /** The last lines that it said, but for progress bars. */
  readonly said: readonly string[];
  /** Asks all of its processes to end, and ends those that do not. Resolves when none is left. */
  stop(): Promise<void>;
}

export interface ProcessGroupOptions {
  readonly cwd?: string;
  /** Beside the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** A file that everything it says is added to. */
  readonly log: string;
  /** Called for every line. True keeps the line out of `said`. */
  readonly onLine?: (line: string) => boolean | void;
  /** How long its processes have to end by themselves. */
  readonly graceMs?: number;
}

const defaultGraceMs = 10_000;
const pollMs = 50;
const mostSaid = 400; // lines

/**
 * Starts a command as a group. Its standard input is a pipe that closes when this process ends, however it ends: a command
 * that is to end then watches it, as `watched` does.
 *
 * @throws Error when there is no such command
 */
export function startGroup(command: string, args: readonly string[], options: ProcessGroupOptions): ProcessGroup {
  const { cwd, env, log: logPath, onLine, graceMs } = options;
  const log = createWriteStream(logPath, { flags: "a" });
  log.on("error", () => {}); // a full disk is told of by the command itself
  const child = spawn(command, args, {
    ...(cwd !== undefined && { cwd }),
    detached: true, // a group of its own
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, PYTHONUNBUFFERED: "1", HF_HUB_DISABLE_PROGRESS_BARS: "1", ...env },
  });
  child.stdin.on("error", () => {}); // it has ended
  const said: string[] = [];
  const take = (line: string): void => {
    log.write(`${line}\n`);
    if (onLine?.(line) === true || !line.trim() || /\d+%\|/.test(line)) return;
    said.push(line.trim());
    if (said.length > mostSaid) said.splice(0, mostSaid / 2);
  };
  createInterface({ input: child.stdout }).on("line", take);
  createInterface({ input: child.stderr }).on("line", take);
  const ended = new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve)).finally(
    () => {
      child.stdin.destroy();
      log.end();
    },
  );
  let isEnded = false;
  ended.then(
    () => (isEnded = true),
    () => (isEnded = true), // whoever waits for it is told
  );
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    if (!isEnded) await endGroup(child.pid!, graceMs); // afterwards its number may be another group's
    await ended.catch(() => null);
  };
  return { pid: child.pid!, ended, said, stop: () => (stopping ??= stop()) };
}

/** Asks a process group to end, and ends it when it does not. */
export async function endGroup(pid: number, graceMs = defaultGraceMs): Promise<void> {
  signalGroup(pid, "SIGTERM");
  const deadline = Date.now() + graceMs;
  while (Date.now() < deadline && listGroup(pid).length > 0) await delay(pollMs);
  signalGroup(pid, "SIGKILL");
}

/** The processes of a group that have not ended; one that nobody has taken notice of yet has. */
export function listGroup(group: number): number[] {
  if (!isProcessAlive(-group)) return [];
  return process.platform === "linux" ? listInProc(group) : listByPs(group);
}

function listInProc(group: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [state, , own] = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "").trim().split(" ");
        return Number(own) === group && state !== "Z";
      } catch {
        return false; // it has ended meanwhile
      }
    });
}

function listByPs(group: number): number[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,pgid=,stat="], { encoding: "utf8" });
  return stdout.split("\n").flatMap((line) => {
    const [pid, own, state = ""] = line.trim().split(/\s+/);
    return Number(own) === group && !state.startsWith("Z") ? [Number(pid)] : [];
  });
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // it has ended
  }
}

/**
 * Runs a command until its standard input closes, and with it all that the command started: asked first, ended some seconds
 * later. What watches does not answer to being asked, so that it is there to the end.
 */
const watchScript = (seconds: number) => `exec 3<&0
"$@" </dev/null 3<&- &
main=$!
(
  trap '' TERM
  cat <&3
  kill -TERM -$$
  left=${seconds}
  while [ $left -gt 0 ] && kill -0 $main; do
    sleep 1
    left=$((left - 1))
  done
  kill -KILL -$$
) >/dev/null 2>&1 &
exec 3<&-
wait $main`;

/**
 * The arguments of `sh` for a command that ends when this process does, even by `kill -9`.
 *
 * @param graceMs how long its processes have to end by themselves
 */
export function watched(command: readonly string[], graceMs = defaultGraceMs): string[] {
  return ["-c", watchScript(Math.ceil(graceMs / 1000)), "alpagasus", ...command];
}
