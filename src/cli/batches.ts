import { Command } from "commander";
import { UsageError } from "../errors.ts";
import { formatCount, formatDuration, formatUsd } from "../format.ts";
import type { BatchStatus } from "../stages/batches.ts";
import { jsonOption } from "./options.ts";
import { plainJson, plainText } from "./text/plain-text.ts";
import { renderTable } from "./text/table.ts";

interface BatchesFlags {
  cancel?: boolean;
  forget?: boolean;
  store?: string;
  json?: boolean;
}

export function batchesCommand(): Command {
  return new Command("batches")
    .summary("show what is in batches at providers")
    .description(
      "Shows batches that were handed in (with --batch) and not fetched yet. The command that handed them in fetches them.",
    )
    .argument("[batch...]", "only these, by their names")
    .option("--cancel", "ask the provider to stop them; what it had answered by then is kept")
    .option(
      "--forget",
      "take the named ones for lost: their calls can be asked again, their money counts as perhaps paid",
    )
    .option("--store <file>", "where replies are kept (.alpagasus/calls.sqlite)")
    .addOption(jsonOption())
    .action(async (ids: string[], flags: BatchesFlags) => {
      if (flags.cancel && flags.forget) throw new UsageError("expected either --cancel or --forget, got both");
      if (flags.forget && ids.length === 0) throw new UsageError("--forget: expected the names of batches, got none");
      const { cancelBatches, forgetBatches, listBatches } = await import("../stages/batches.ts");
      const options = flags.store === undefined ? {} : { store: flags.store };
      const named = ids.length > 0 ? ids : undefined;
      const batches = flags.cancel
        ? await cancelBatches(named, options)
        : flags.forget
          ? forgetBatches(ids, options)
          : listBatches(options).filter(
              ({ id, providerId }) => !named || named.includes(id) || named.includes(providerId ?? ""),
            );
      const done = flags.cancel ? "Asked to stop" : flags.forget ? "Taken for lost" : "Under way";
      process.stdout.write(flags.json ? `${plainJson(batches, 2)}\n` : render(batches, done));
    });
}

function render(batches: readonly BatchStatus[], done: string): string {
  if (batches.length === 0) return "\n  No batch is under way.\n";
  const table = renderTable(
    ["batch", "model", "calls", "left", "since", "at most"],
    ["left", "left", "right", "right", "right", "right"],
    batches.map(({ id, providerId, model, calls, left, begunAt, reservedUsd }) => [
      plainText(providerId ?? `${id} (not known to have arrived)`),
      plainText(model),
      formatCount(calls),
      formatCount(left),
      formatDuration(Date.now() - Date.parse(begunAt)),
      reservedUsd === null ? "-" : formatUsd(reservedUsd),
    ]),
  );
  return `\n  ${done}\n${table}\n`;
}
