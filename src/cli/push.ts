import { Command } from "commander";
import { formatCount } from "../format.ts";
import type { CommandContext } from "./context.ts";
import { jsonOption, runOption } from "./options.ts";
import { plainJson, plainText } from "./text/plain-text.ts";

interface PushFlags {
  arm?: string | undefined;
  model?: string | undefined;
  license?: string | undefined;
  public?: boolean | undefined;
  dryRun?: boolean | undefined;
  overwrite?: boolean | undefined;
  run: string;
  json?: boolean | undefined;
}

export function pushCommand(context: CommandContext): Command {
  return new Command("push")
    .summary("put an arm or a trained model on the Hugging Face Hub, with its card")
    .description(
      "Puts an arm as a dataset, or a trained model, on the Hub in one commit, with a card that says how rows were chosen, who judged them, what was found and under which licence. Paths and addresses of your machines are left out of the card. A repository that is made is private. The token is HF_TOKEN.",
    )
    .argument("<repository>", "where it goes: hf:owner/name")
    .option("--arm <name>", "the arm to push, as a dataset")
    .option("--model <name>", "the trained model to push")
    .option(
      "--license <id>",
      "its licence: apache-2.0, cc-by-nc-4.0, … (that of the source, or the base, if it is on the Hub)",
    )
    .option("--public", "let everybody see a repository that is made")
    .option("--overwrite", "replace the card of a repository that somebody else has written")
    .option("--dry-run", "show the card and the files; send nothing")
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  alpagasus push hf:me/alpaca-9k --arm selected --license cc-by-nc-4.0 --dry-run
  alpagasus push hf:me/alpaca-9k --arm selected --license cc-by-nc-4.0 --public
  alpagasus push hf:me/my-model --model selected --license apache-2.0`,
    )
    .action(async (to: string, flags: PushFlags) => {
      const { planPush, push } = await import("../stages/push.ts"); // imported here because it is large
      const { arm, model, license: licence, public: isPublic, overwrite, run } = flags;
      const options = {
        to,
        arm,
        model,
        licence,
        isPublic,
        overwrite,
        run,
        signal: context.signal,
        onPhase: (phase: string) => process.stderr.write(`push: ${plainText(phase)}\n`),
      };
      const size = (files: readonly { readonly bytes: number }[]) =>
        `${formatCount(Math.ceil(files.reduce((sum, { bytes }) => sum + bytes, 0) / 1000))} kB`;
      if (flags.dryRun) {
        const plan = await planPush(options);
        const lines = plan.files.map(({ path, bytes }) => `  ${path}  ${formatCount(bytes)} bytes`);
        process.stdout.write(
          flags.json
            ? `${plainJson(plan, 2)}\n`
            : `${plan.card
                .split("\n")
                .map((line) => `${plainText(line)}\n`)
                .join(
                  "",
                )}\nbeside it, ${size(plan.files)}:\n${lines.map((line) => `${plainText(line)}\n`).join("")}nothing was sent\n`,
        );
        return;
      }
      const summary = await push(options);
      const seen = summary.isPublic === null ? "" : summary.isPublic ? ", public" : ", private";
      process.stdout.write(
        flags.json
          ? `${plainJson(summary, 2)}\n`
          : plainText(
              `${summary.url}${seen}: ${formatCount(summary.files.length + 1)} files, ${size(summary.files)}, commit ${summary.commit.slice(0, 12)}`,
            ).concat("\n"),
      );
    });
}
