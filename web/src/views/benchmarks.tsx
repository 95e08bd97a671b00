import { formatCount, formatMetric } from "../../../src/format.ts";
import type { BenchmarkSummary } from "../../../src/run/records/benchmarks.ts";
import { DifferencesTable } from "../parts/differences.tsx";
import { Table } from "../parts/table.tsx";
import { WithInterval } from "../parts/words.tsx";

interface Shown extends Pick<BenchmarkSummary, "task" | "metric" | "models" | "differences" | "notes"> {
  /** Null where figures were published elsewhere. */
  readonly harness: string | null;
}

/** Each model's figures in benchmarks, and how arms differ on the same items. */
export function Benchmarks({ benchmarks }: { benchmarks: readonly Shown[] }) {
  const models = benchmarks.flatMap(({ task, metric, models: of }) => of.map((one) => ({ task, metric, ...one })));
  const differences = benchmarks.flatMap(({ task, differences: of }) => of.map((one) => ({ task, ...one })));
  return (
    <section aria-label="Benchmarks">
      <h2>Benchmarks</h2>
      <p class="quiet">
        {benchmarks[0]!.harness === null
          ? "As published."
          : `By lm-evaluation-harness ${benchmarks[0]!.harness}, a line an item. Arms are compared on the same items.`}{" "}
        p is corrected for the number of comparisons.
      </p>
      <Table
        caption="Figures of each model"
        columns={[
          { name: "benchmark", show: ({ task }) => task, value: ({ task }) => task },
          { name: "model", show: ({ model }) => model, value: ({ model }) => model },
          { name: "metric", show: ({ metric }) => metric, value: ({ metric }) => metric },
          {
            name: "value",
            isNumber: true,
            show: ({ value }) => <WithInterval of={value} write={formatMetric} />,
            value: ({ value }) => value.value,
          },
          { name: "items", isNumber: true, show: ({ items }) => formatCount(items), value: ({ items }) => items },
        ]}
        rows={models}
        more={[
          { name: "low", value: ({ value }) => value.low },
          { name: "high", value: ({ value }) => value.high },
        ]}
      />
      {differences.length > 0 && (
        <>
          <DifferencesTable
            caption={benchmarks[0]!.harness === null ? "Differences" : "Differences, item by item"}
            rows={differences}
            name={({ task, a, b }) => `${task}: ${a} minus ${b}`}
            write={formatMetric}
          />
          {differences.map(({ sentence }) => (
            <p>{sentence}</p>
          ))}
          {[...new Set(benchmarks.flatMap(({ notes }) => notes))].map((note) => (
            <p class="quiet">Note: {note}</p>
          ))}
        </>
      )}
    </section>
  );
}
