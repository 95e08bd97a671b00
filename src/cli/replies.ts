import { once } from "node:events";
import { Command, Option } from "commander";
import { ratingStates, type RatingState } from "../run/rating.ts";
import { replies } from "../stages/replies.ts";
import { parsePositive, parseWhole, runOption } from "./options.ts";
import type { CommandContext } from "./context.ts";
import { renderReply } from "./text/reply.ts";
import { plainJson } from "./text/plain-text.ts";

const textLimit = 20;

interface RepliesFlags {
  state?: RatingState;
  row?: number;
  limit?: number;
  run: string;
  json?: boolean;
}

export function repliesCommand(context: CommandContext): Command {
  return new Command("replies")
    .summary("show what a model said about the rows")
    .description("Shows the replies behind a run's ratings, word for word, from the call store.")
    .addOption(new Option("--state <state>", "only ratings that ended so").choices(ratingStates))
    .option("--row <index>", "only this row, counted from 0", parseWhole)
    .option("--limit <n>", "at most so many (20; with --json, all)", parsePositive)
    .addOption(runOption())
    .option("--json", "one JSON object a line on stdout")
    .addHelpText(
      "after",
      `
Examples:
  alpagasus replies --state unparsable
  alpagasus replies --row 17
  alpagasus replies --json > replies.jsonl`,
    )
    .action(async (flags: RepliesFlags) => {
      let shown = 0;
      const limit = flags.limit ?? (flags.json ? Infinity : textLimit);
      for await (const reply of replies({
        run: flags.run,
        ...(flags.state && { state: flags.state }),
        ...(flags.row !== undefined && { row: flags.row }),
      })) {
        context.signal.throwIfAborted();
        if (shown++ >= limit) {
          if (!flags.json) process.stdout.write("\n  … and more; --limit shows them, --json all\n");
          return;
        }
        const text = flags.json ? `${plainJson(reply)}\n` : renderReply(reply);
        if (!process.stdout.write(text)) await once(process.stdout, "drain");
      }
      if (shown === 0 && !flags.json) process.stdout.write("\n  No such ratings.\n");
    });
}
