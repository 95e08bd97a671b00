import { formatCount, formatP, formatShare } from "../../../src/format.ts";
import type { BenchmarkSummary } from "../../../src/run/records/benchmarks.ts";
import { Table } from "../parts/table.tsx";

type Shown = Pick<BenchmarkSummary, "task" | "metric" | "harness" | "models" | "differences">;
type Estimate = BenchmarkSummary["models"][number]["value"];

/** Each model's figures in benchmarks, and how arms differ on the same items. */
export function Benchmarks({ benchmarks }: { benchmarks: readonly Shown[] }) {
  const models = benchmarks.flatMap(({ task, metric, models: of }) => of.map((one) => ({ task, metric, ...one })));
  const differences = benchmarks.flatMap(({ task, differences: of }) => of.map((one) => ({ task, ...one })));
  return (
    <section aria-label="Benchmarks">
      <h2>Benchmarks</h2>
      <p class="quiet">
        By lm-evaluation-harness {benchmarks[0]!.harness}, a line an item. Arms are compared on the same items; p is
        corrected for the number of comparisons.
      </p>
      <Table
        caption="Figures of each model"
        columns={[
          { name: "benchmark", show: ({ task }) => task, value: ({ task }) => task },
          { name: "model", show: ({ model }) => model, value: ({ model }) => model },
          { name: "metric", show: ({ metric }) => metric, value: ({ metric }) => metric },
          { name: "value", isNumber: true, show: ({ value }) => show(value), value: ({ value }) => value.value },
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
          <Table
            caption="Differences, item by item"
            columns={[
              { name: "benchmark", show: ({ task }) => task, value: ({ task }) => task },
              { name: "arms", show: ({ a, b }) => `${a} minus ${b}`, value: ({ a, b }) => `${a} minus ${b}` },
              {
                name: "difference",
                isNumber: true,
                show: ({ difference }) => show(difference),
                value: ({ difference }) => difference.value,
              },
              {
                name: "p, corrected",
                isNumber: true,
                show: ({ adjustedPValue }) => `p ${formatP(adjustedPValue)}`,
                value: ({ adjustedPValue }) => adjustedPValue,
              },
            ]}
            rows={differences}
            more={[
              { name: "low", value: ({ difference }) => difference.low },
              { name: "high", value: ({ difference }) => difference.high },
            ]}
          />
          {differences.map(({ sentence }) => (
            <p>{sentence}</p>
          ))}
        </>
      )}
    </section>
  );
}

/** Shares as percentages, other metrics as they are. */
function show({ value, low, high }: Estimate): string {
  return `${number(value)} [${number(low)}, ${number(high)}]`;
}

function number(value: number | null): string {
  if (value === null) return "–";
  return Math.abs(value) <= 1 ? formatShare(value) : value.toFixed(3);
}
