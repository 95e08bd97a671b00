import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { isProcessAlive } from "../process-identity.ts";
import { withoutProviderKeys } from "../keys.ts";
import { withoutPasswords } from "../without-password.ts";

/*
 * Runs a command and all the processes that it starts as a process group, which can be ended as a whole.
 */

export interface ProcessGroup {
  /** The id of its first process, and of the group. */
  readonly pid: number;
  /** Resolves with the exit code, or null when a signal ended it. Rejects when there is no such command. */
  readonly ended: Promise<number | null>;
  /** Its standard input. */
  readonly input: Writable;
  /** The last lines of its output, without progress bars. */
  readonly said: readonly string[];
  /** Sends SIGTERM to all its processes, then SIGKILL to those that remain. Resolves when all have ended. */
  stop(): Promise<void>;
}

export interface ProcessGroupOptions {
  readonly cwd?: string | undefined;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** The file that its output is appended to. */
  readonly log: string;
  /** Called for every line of output. Returning true keeps the line out of `said`, `data` also out of the log. */
  readonly onLine?: ((line: string) => boolean | "data" | void) | undefined;
  /** Time between SIGTERM and SIGKILL, in milliseconds. */
  readonly graceMs?: number | undefined;
}

const defaultGraceMs = 10_000;
const pollMs = 50;
const maxSaidLines = 400; // lines

/**
 * Starts a command as a group. Its standard input is a pipe that closes when this process ends, even by `kill -9`. A command
 * that should end then has to watch its input, as {@link watched} does.
 */
export function startGroup(command: string, args: readonly string[], options: ProcessGroupOptions): ProcessGroup {
  const { cwd, env, log: logPath, onLine, graceMs } = options;
  const log = createWriteStream(logPath, { flags: "a" });
  log.on("error", () => {}); // the command itself reports a full disk
  const child = spawn(command, args, {
    cwd,
    detached: true, // in its own process group
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...withoutProviderKeys(process.env), PYTHONUNBUFFERED: "1", HF_HUB_DISABLE_PROGRESS_BARS: "1", ...env },
  });
  child.stdin.on("error", () => {}); // it has ended
  const said: string[] = [];
  const readLine = (told: string): void => {
    const line = withoutPasswords(told); // as of the address of a tracker or an index, which libraries quote in errors
    const use = onLine?.(line);
    if (use === "data") return;
    log.write(`${line}\n`);
    if (use === true || !line.trim() || /\d+%\|/.test(line)) return;
    said.push(line.trim());
    if (said.length > maxSaidLines) said.splice(0, maxSaidLines / 2);
  };
  createInterface({ input: child.stdout }).on("line", readLine);
  createInterface({ input: child.stderr }).on("line", readLine);
  const ended = new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve)).finally(
    () => {
      child.stdin.destroy();
      log.end();
    },
  );
  let isEnded = false;
  ended.then(
    () => (isEnded = true),
    () => (isEnded = true), // callers that await it get the error
  );
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    if (!isEnded) await endGroup(child.pid!, graceMs); // once it has ended, its id may be reused
    await ended.catch(() => null);
  };
  return { pid: child.pid!, input: child.stdin, ended, said, stop: () => (stopping ??= stop()) };
}

/** Ends a process group: sends SIGTERM, then SIGKILL to what remains after `graceMs`. */
export async function endGroup(pid: number, graceMs = defaultGraceMs): Promise<void> {
  signalGroup(pid, "SIGTERM");
  const deadline = Date.now() + graceMs;
  while (Date.now() < deadline && listGroup(pid).length > 0) await delay(pollMs);
  signalGroup(pid, "SIGKILL");
}

/** The ids of a group's running processes. Zombies count as ended. */
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
        const [state, , groupOf] = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "").trim().split(" ");
        return Number(groupOf) === group && state !== "Z";
      } catch {
        return false; // it ended during the search
      }
    });
}

function listByPs(group: number): number[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,pgid=,stat="], { encoding: "utf8" });
  return stdout.split("\n").flatMap((line) => {
    const [pid, groupOf, state = ""] = line.trim().split(/\s+/);
    return Number(groupOf) === group && !state.startsWith("Z") ? [Number(pid)] : [];
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
 * A shell script that runs a command as long as its standard input is open. Then it sends SIGTERM to the whole group, and
 * SIGKILL when the command has ended or `seconds` have passed. The watcher ignores SIGTERM so it can still send SIGKILL.
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
 * The arguments of `sh` to run a command that ends when this process does, even by `kill -9`.
 *
 * @param graceMs time between SIGTERM and SIGKILL
 */
export function watched(command: readonly string[], graceMs = defaultGraceMs): string[] {
  return ["-c", watchScript(Math.ceil(graceMs / 1000)), "alpagasus", ...command];
}
