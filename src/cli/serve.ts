import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Command, Option } from "commander";
import { messageOf, UsageError } from "../errors.ts";
import type { ServerKind } from "../generation/serve-model.ts";
import { formatDuration } from "../format.ts";
import type { CommandContext } from "./context.ts";
import { jsonOption, runOption } from "./options.ts";
import { addServingOptions, readServing, type ServingFlags } from "./serving-options.ts";
import { plainJson, plainText } from "./text/plain-text.ts";

interface ServeFlags extends ServingFlags {
  server?: ServerKind | undefined;
  addresses?: string | undefined;
  run: string;
  json?: boolean | undefined;
}

export function serveCommand(context: CommandContext): Command {
  const command = new Command("serve")
    .summary("serve a model, for judging or answering")
    .description(
      "Starts servers for a model, on this machine or on a Ray cluster, and lists their addresses in a file that judges and answerers read: --judge servers:FILE#MODEL. They run until the command after -- has ended, or until you interrupt. On a cluster, a server that is lost is started again, and the file follows.",
    )
    .argument("<model>", "a model that the run has trained (selected), a folder with a model, a Hub id, or smollm2")
    .argument("[command...]", "after --: a command that runs while they serve; its exit code becomes this one's")
    .addOption(
      new Option("--server <kind>", "which server to start (vllm on a GPU)").choices(["vllm", "transformers"]),
    );
  return addServingOptions(command, "start them")
    .option("--addresses <file>", "the file for their addresses (served/MODEL.txt of the run)")
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  alpagasus serve selected
  alpagasus serve Qwen/Qwen3-32B --on ray:http://head:8265 --replicas 8 --gpus 2 --addresses hosts.txt
  alpagasus rate train.json --judge "servers:hosts.txt#MODEL"       MODEL as serve says it
  alpagasus serve Qwen/Qwen3-8B -- sh -c 'alpagasus rate train.json --judge "$ALPAGASUS_SERVED"'`,
    )
    .action(async (model: string, rest: string[], flags: ServeFlags) => {
      if (rest.length > 0) expectCommand(rest[0]!);
      const { serve } = await import("../stages/serve.ts"); // imported here because it is large
      const serving = await serve(model, {
        run: flags.run,
        server: flags.server,
        ray: await readServing(flags),
        addresses: flags.addresses,
        signal: context.signal,
        onPhase: (phase) => process.stderr.write(`serve: ${plainText(phase)}\n`),
      });
      try {
        const { name, servers, description, startMs, parity, addresses } = serving;
        const ready = { name, servers, addresses, server: description, startMs, parity };
        const count = `${servers.length} ${servers.length === 1 ? "server" : "servers"}`;
        const lines = [
          `${count} of ${model} (${description}), ready after ${formatDuration(startMs)}; ${parity}`,
          ...servers.map((url) => `  ${url}`),
          `listed in ${addresses}; as a judge: --judge "${name}"`,
        ];
        // what the command prints is its own
        const out = rest.length > 0 ? process.stderr : process.stdout;
        out.write(flags.json ? `${plainJson(ready, 2)}\n` : lines.map((line) => `${plainText(line)}\n`).join(""));
        if (rest.length > 0) context.exitCode = await runBeside(rest, name, serving.failed, context.signal);
        else await Promise.race([serving.failed, untilInterrupted(context.signal)]);
      } finally {
        process.stderr.write("serve: stopping the servers\n");
        await serving.stop();
      }
    });
}

/** @throws UsageError when there is no such command */
function expectCommand(name: string): void {
  const isThere = (path: string) => existsSync(path);
  const places = name.includes("/")
    ? [name]
    : (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name));
  if (!places.some(isThere)) throw new UsageError(`${name}: expected a command after --, found none of that name`);
}

async function untilInterrupted(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await delay(3_600_000, undefined, { signal }).catch(() => {});
  signal.throwIfAborted();
}

/** Runs a command while the model is served. Its environment has the model's name. @returns its exit code */
async function runBeside(
  [file = "", ...args]: readonly string[],
  name: string,
  failed: Promise<never>,
  signal: AbortSignal,
): Promise<number> {
  // a group of its own, so that what it has started ends with it
  const child = spawn(file, args, {
    stdio: "inherit",
    detached: true,
    env: { ...process.env, ALPAGASUS_SERVED: name },
  });
  const end = () => {
    try {
      process.kill(-child.pid!, "SIGTERM");
    } catch {
      // it has ended
    }
  };
  signal.addEventListener("abort", end);
  try {
    const ended = once(child, "exit") as Promise<[number | null]>;
    const [code] = await Promise.race([ended, failed]).catch(async (error: unknown) => {
      if (child.pid === undefined)
        throw new UsageError(`${file}: expected a command that can be started (${messageOf(error)})`, { cause: error });
      end();
      await ended.catch(() => {});
      throw error;
    });
    signal.throwIfAborted();
    return code ?? 1;
  } finally {
    signal.removeEventListener("abort", end);
  }
}
