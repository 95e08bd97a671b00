import { once } from "node:events";
import { Command, Option } from "commander";
import { ratingStates, type RatingState } from "../run/rating.ts";
import { UsageError } from "../errors.ts";
import { replies, verdictReplies, type RatedReply, type VerdictReply } from "../stages/replies.ts";
import { parsePositive, parseWhole, runOption } from "./options.ts";
import type { CommandContext } from "./context.ts";
import { renderReply, renderVerdictReply } from "./text/reply.ts";
import { plainJson } from "./text/plain-text.ts";

const textLimit = 20;

interface RepliesFlags {
  state?: RatingState | "judged" | undefined;
  verdicts?: boolean | undefined;
  row?: number | undefined;
  as?: string | undefined;
  limit?: number | undefined;
  run: string;
  json?: boolean | undefined;
}

export function repliesCommand(context: CommandContext): Command {
  return new Command("replies")
    .summary("show what a model said about the rows")
    .description("Shows the replies behind a run's ratings or verdicts, word for word, from the call store.")
    .addOption(new Option("--state <state>", "only ratings in this state").choices([...ratingStates, "judged"]))
    .option("--verdicts", "show replies of comparisons instead of ratings")
    .option("--row <index>", "only this row, counted from 0", parseWhole)
    .option("--as <name>", "those behind a further score, which rate --as made")
    .option("--limit <n>", "maximum number of replies (20; with --json, all)", parsePositive)
    .addOption(runOption())
    .option("--json", "one JSON object a line on stdout")
    .addHelpText(
      "after",
      `
Examples:
  alpagasus replies --state unparsable
  alpagasus replies --row 17
  alpagasus replies --as complexity --state unparsable
  alpagasus replies --verdicts --state unparsable
  alpagasus replies --json > replies.jsonl`,
    )
    .action(async (flags: RepliesFlags) => {
      let shown = 0;
      const limit = flags.limit ?? (flags.json ? Infinity : textLimit);
      for await (const reply of openReplies(flags)) {
        context.signal.throwIfAborted();
        if (shown++ >= limit) {
          if (!flags.json) process.stdout.write("\n  … and more; use --limit N to see them, or --json for all\n");
          return;
        }
        const text = flags.json
          ? `${plainJson(reply)}\n`
          : "comparison" in reply
            ? renderVerdictReply(reply)
            : renderReply(reply);
        if (!process.stdout.write(text)) await once(process.stdout, "drain");
      }
      if (shown === 0 && !flags.json) process.stdout.write("\n  No such replies.\n");
    });
}

function openReplies({ run, state, row, as, verdicts }: RepliesFlags): AsyncGenerator<RatedReply | VerdictReply> {
  if (verdicts) {
    if (row !== undefined) throw new UsageError("--row: expected ratings, got --verdicts; leave one of them out");
    if (as !== undefined) throw new UsageError("--as: expected ratings, got --verdicts; leave one of them out");
    if (state === "scored" || state === "unreadable")
      throw new UsageError(`--state: a verdict is judged, not ${state}`);
    return verdictReplies({ run, state });
  }
  if (state === "judged") throw new UsageError("--state: a rating is scored, not judged");
  return replies({ run, state, row, as });
}
