import { once } from "node:events";
import { Command, InvalidArgumentError } from "commander";
import type { CommandContext } from "./context.ts";
import { parseWhole, runOption } from "./options.ts";
import { addPageOptions, readPageFlags, type PageFlags } from "./page-options.ts";
import { plainText } from "./text/plain-text.ts";

interface ViewFlags extends PageFlags {
  port?: number | undefined;
  run: string;
}

export function viewCommand(context: CommandContext): Command {
  const command = new Command("view")
    .summary("look through a run in the browser, every row of it")
    .description(
      "Serves a run's page on 127.0.0.1, with all rows and pairs, until it is interrupted. The page of a run in progress updates by itself. The run is never changed.",
    );
  return addPageOptions(command)
    .option(
      "--port <n>",
      "port to listen on; 0 means any free port (4620, or any free port if that is taken)",
      parsePort,
    )
    .addOption(runOption())
    .action(async (flags: ViewFlags) => {
      const { view } = await import("../stages/view.ts"); // imported here because it is large
      await using viewer = await view({
        run: flags.run,
        ...readPageFlags(flags),
        port: flags.port,
      });
      process.stdout.write(`${plainText(flags.run)} is shown at ${viewer.url} until Ctrl-C\n`);
      if (!context.signal.aborted) await once(context.signal, "abort");
      process.stdout.write("closed\n");
    });
}

function parsePort(text: string): number {
  const port = parseWhole(text);
  if (port > 65_535) throw new InvalidArgumentError("Expected a port from 0 to 65535.");
  return port;
}
