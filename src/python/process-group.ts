import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
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
}

const killMs = 10_000; // for processes to end by themselves
const pollMs = 50;
const mostSaid = 400; // lines

/**
 * Starts a command as a group. Its standard input is a pipe that closes when this process ends, however it ends: a command
 * that is to end then watches it, as `watched` does.
 *
 * @throws Error when there is no such command
 */
export function startGroup(command: string, args: readonly string[], options: ProcessGroupOptions): ProcessGroup {
  const { cwd, env, log: logPath, onLine } = options;
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
    if (!isEnded) await endGroup(child.pid!); // afterwards its number may be another group's
    await ended.catch(() => null);
  };
  return { pid: child.pid!, ended, said, stop: () => (stopping ??= stop()) };
}

/** Asks a process group to end, and ends it when it does not. */
export async function endGroup(pid: number): Promise<void> {
  signalGroup(pid, "SIGTERM");
  const deadline = Date.now() + killMs;
  while (Date.now() < deadline && isProcessAlive(-pid)) await delay(pollMs);
  signalGroup(pid, "SIGKILL");
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // it has ended
  }
}

/**
 * Runs a command until its standard input closes, and with it all that the command started: asked first, ended ten seconds
 * later. What watches does not answer to being asked, so that it is there to the end.
 */
const watchScript = `exec 3<&0
"$@" </dev/null 3<&- &
main=$!
(
  trap '' TERM
  cat <&3
  kill -TERM -$$
  for second in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 $main || break
    sleep 1
  done
  kill -KILL -$$
) >/dev/null 2>&1 &
exec 3<&-
wait $main`;

/**
 * The arguments of `sh` for a command that ends when this process does, even by `kill -9`.
 *
 * @param name what the shell calls itself
 */
export function watched(command: readonly string[], name = "alpagasus"): string[] {
  return ["-c", watchScript, name, ...command];
}
