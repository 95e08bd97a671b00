import { Command } from "commander";
import { status } from "../stages/status.ts";
import { jsonOption, runOption } from "./options.ts";
import type { CommandContext } from "./context.ts";
import { renderStatus } from "./text/status.ts";
import { plainJson } from "./text/plain-text.ts";

export function statusCommand(_context: CommandContext): Command {
  return new Command("status")
    .summary("show the state of a run")
    .description(
      "Shows the state of a run from its files: what was rated, which arms there are, whether they still match the ratings, and what to do next.",
    )
    .addOption(runOption())
    .addOption(jsonOption())
    .action(async (flags: { run: string; json?: boolean }) => {
      const found = await status(flags.run);
      process.stdout.write(flags.json ? `${plainJson(found, 2)}\n` : renderStatus(found));
    });
}
