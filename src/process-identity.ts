import { spawnSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/*
 * Which process is which. An id alone is not enough: ids are reused, two containers number their processes alike, and a
 * folder may be shared by several machines.
 */

export interface ProcessIdentity {
  /** The host's name, then its boot and the space that its processes are numbered in, where they are known. */
  readonly host: string;
  readonly pid: number;
  /** When it started, in a unit of the system; empty where unknown. Tells it from a later process with its id. */
  readonly start: string;
}

/** This host, boot, and the namespaces of processes and of time: `laptop/1f0c93aa/4026531836-4026531834`. */
export const thisHost = [hostname(), readBoot(), readNamespace()].filter((part) => part !== "").join("/");

export const thisProcess: ProcessIdentity = { host: thisHost, pid: process.pid, start: startOf(process.pid) };

/** This process in a file's name: `1f0c93aa-4711-239871`. */
export const processToken = tokenOf(thisProcess);

/** Whether a process with this id runs on this machine, whichever user owns it. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // signal 0 only checks that the process exists
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it exists, but belongs to another user
  }
}

/** Whether a process runs; undefined where it cannot be known, because it is another host's. */
export function isRunning({ host, pid, start }: ProcessIdentity): boolean | undefined {
  if (host !== thisHost) return undefined; // also this machine before it was started again: another may have its name
  if (!isProcessAlive(pid)) return false;
  const now = startOf(pid);
  return start === "" || now === "" || start === now;
}

/** `process 4711`, or `process 4711 on HOST`. */
export function describeProcess({ host, pid }: Pick<ProcessIdentity, "host" | "pid">): string {
  return host === thisHost ? `process ${pid}` : `process ${pid} on ${host.split("/", 1)[0]}`;
}

/** Whether the process of a token, as in a file's name, runs; undefined where it cannot be known. */
export function isTokenRunning(token: string): boolean | undefined {
  const [, host, pid, start = ""] = /^([0-9a-z]+)-(\d+)-([0-9a-z]*)$/.exec(token) ?? [];
  if (host === undefined || host !== hashOf(thisHost)) return undefined;
  return isRunning({ host: thisHost, pid: Number(pid), start });
}

export const tokenPattern = "[0-9a-z]+-\\d+-[0-9a-z]*";

function tokenOf({ host, pid, start }: ProcessIdentity): string {
  return `${hashOf(host)}-${pid}-${start}`;
}

/** A short name of a text, by FNV-1a. */
function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(36);
}

function readBoot(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").slice(0, 8);
  } catch {
    return ""; // not Linux
  }
}

function readNamespace(): string {
  const read = (kind: string): string => {
    try {
      return readlinkSync(`/proc/self/ns/${kind}`).replace(/\D/g, "");
    } catch {
      return ""; // a kernel without it
    }
  };
  return ["pid", "time"].map(read).filter(Boolean).join("-"); // the time is that of starts in /proc
}

/** When a process started: in clock ticks since the boot on Linux, else in seconds since 1970. Empty where unknown. */
function startOf(pid: number): string {
  if (process.platform === "win32") return "";
  try {
    if (process.platform === "linux")
      return readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\)/s, "").trim().split(" ")[19] ?? ""; // the 22nd field
    const { stdout } = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C" },
    });
    const time = Date.parse(stdout.trim());
    return Number.isNaN(time) ? "" : String(time / 1000);
  } catch {
    return ""; // it has ended
  }
}
