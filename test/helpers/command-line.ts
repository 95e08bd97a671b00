import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The command line as it is published; the tests' set-up has built it. It starts in half the time that the sources take. */
export const alpagasusPath = fileURLToPath(new URL("../../dist/bin/alpagasus.js", import.meta.url));

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

/** Runs the command line as its own process, as a user does. */
export function alpagasus(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return startAlpagasus(args, options).ended;
}

/** The same, to be interrupted or killed meanwhile. */
export function startAlpagasus(
  args: readonly string[],
  options: CommandOptions = {},
): {
  readonly ended: Promise<CommandResult>;
  /** What it has written to stderr so far. */
  said(): string;
  kill(signal: NodeJS.Signals): void;
} {
  const child = spawn(process.execPath, [alpagasusPath, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env["PATH"], NO_COLOR: "1", ...options.env },
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return {
    ended: new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr }))),
    said: () => stderr,
    kill: (signal) => child.kill(signal),
  };
}

/**
 * Runs a command in this process, for those that end before they do anything: a user's mistakes, of which there are many. Not beside
 * others: it changes the working folder and the environment meanwhile.
 */
export async function misuse(args: readonly string[], { cwd, env = {} }: CommandOptions = {}): Promise<CommandResult> {
  const { runCommandLine } = await import("../../src/cli/program.ts");
  const said = { stdout: "", stderr: "" };
  const before = { cwd: process.cwd(), env: process.env };
  const streams = [process.stdout, process.stderr] as const;
  const keep = (name: "stdout" | "stderr") => (chunk: unknown) => {
    said[name] += String(chunk);
    return true;
  };
  process.env = { PATH: before.env["PATH"], NO_COLOR: "1", ...env };
  process.stdout.write = keep("stdout");
  process.stderr.write = keep("stderr");
  try {
    if (cwd !== undefined) process.chdir(cwd);
    return { code: await runCommandLine(args), ...said };
  } finally {
    for (const stream of streams) Reflect.deleteProperty(stream, "write"); // the class's own is there again
    process.env = before.env;
    process.chdir(before.cwd);
  }
}

/** Runs commands that only prepare a test. @throws Error when one of them fails */
export async function prepare(cwd: string, ...commands: readonly (readonly string[])[]): Promise<void> {
  for (const args of commands) {
    const { code, stderr } = await alpagasus(args, { cwd });
    if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${stderr}`);
  }
}
