import { InvalidArgumentError, Option, type Command } from "commander";
import { listOption, repeatable } from "./options.ts";
import type { OpenRunOptions } from "../page/open-run.ts";

/*
 * Options of the two commands that show a run: `report` and `view`.
 */

export interface PageFlags {
  against?: string[] | undefined;
  size?: Record<string, number> | undefined;
  title?: string | undefined;
}

export function addPageOptions(command: Command): Command {
  const size = new Option(
    "--size <arm=rows>",
    "number of rows an arm was trained on, if this run did not select it; repeat the option for more arms",
  ).argParser(parseSize);
  repeatable.add(size);
  return command
    .addOption(
      listOption(
        "--against <judge>",
        "compare the run's scores with another judge's: run:DIR, recorded:FILE, column:NAME, student; repeat the option for more (the judge it was rated against)",
      ),
    )
    .addOption(size)
    .option("--title <text>", "title of the page (the run's folder)");
}

export function readPageFlags({ against, size, title }: PageFlags): OpenRunOptions {
  return { against, sizes: size, title };
}

/** `selected=9229` */
function parseSize(text: string, others: Record<string, number> = {}): Record<string, number> {
  const [, arm, rows] = /^(.+)=([1-9]\d*)$/.exec(text) ?? [];
  if (arm !== undefined && Object.hasOwn(others, arm)) throw new InvalidArgumentError(`Expected ${arm} once.`);
  if (arm === undefined || !Number.isSafeInteger(Number(rows)))
    throw new InvalidArgumentError("Expected an arm and its rows: selected=9229.");
  return { ...others, [arm]: Number(rows) };
}
