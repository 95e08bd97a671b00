import { Command } from "commander";
import { UsageError } from "../errors.ts";
import { formatCount, formatDuration, formatUsd } from "../format.ts";
import type { BatchStatus, CancelledBatch } from "../stages/batches.ts";
import { jsonOption } from "./options.ts";
import { plainJson, plainText } from "./text/plain-text.ts";
import { renderTable } from "./text/table.ts";

interface BatchesFlags {
  cancel?: boolean | undefined;
  forget?: boolean | undefined;
  store?: string | undefined;
  json?: boolean | undefined;
}

export function batchesCommand(): Command {
  return new Command("batches")
    .summary("show batches in progress at providers")
    .description(
      "Shows batches that were submitted (with --batch) and not fetched yet. Run the command that submitted them again to fetch them.",
    )
    .argument("[batch...]", "only these batches, by name")
    .option("--cancel", "ask the provider to cancel them; replies that were ready by then are kept")
    .option(
      "--forget",
      "treat the named batches as lost: their calls can be made again, and their cost counts as perhaps paid",
    )
    .option("--store <file>", "the call store with the replies (.alpagasus/calls.sqlite)")
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
      const title = flags.cancel ? "Cancelling" : flags.forget ? "Marked as lost" : "Batches in progress";
      process.stdout.write(flags.json ? `${plainJson(batches, 2)}\n` : render(batches, title));
      if (batches.some((batch) => "outcome" in batch && batch.outcome === "kept")) process.exitCode = 1;
    });
}

function render(batches: readonly (BatchStatus | CancelledBatch)[], title: string): string {
  if (batches.length === 0) return "\n  No batch is in progress.\n";
  const table = renderTable(
    ["batch", "model", "calls", "left", "since", "at most", "state"],
    ["left", "left", "right", "right", "right", "right", "left"],
    batches.map((batch) => [
      plainText(batch.providerId ?? batch.id),
      plainText(batch.model),
      formatCount(batch.calls),
      formatCount(batch.left),
      formatDuration(Math.max(0, Date.now() - Date.parse(batch.begunAt))),
      batch.reservedUsd === null ? "-" : formatUsd(batch.reservedUsd),
      "outcome" in batch ? (batch.outcome === "kept" ? "not stopped" : batch.outcome) : batch.state,
    ]),
  );
  const problems = batches.flatMap(({ id, providerId, problem }) =>
    problem === null ? [] : `  ${plainText(providerId ?? id)}: ${plainText(problem)}`,
  );
  const gone = batches.filter((batch) => batch.state === "not given out" && !("outcome" in batch));
  const advice =
    gone.length === 0
      ? []
      : [
          `  Use the API key that they were submitted with, or mark them as lost: alpagasus batches --forget ${gone.map(({ id, providerId }) => plainText(providerId ?? id)).join(" ")}`,
        ];
  return `\n  ${title}\n${table}\n${[...problems, ...advice].map((line) => `${line}\n`).join("")}`;
}
