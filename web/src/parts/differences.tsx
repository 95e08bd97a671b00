import { formatCount, formatP } from "../../../src/format.ts";
import { Table } from "./table.tsx";
import { WithInterval } from "./words.tsx";

interface Difference {
  readonly difference: { readonly value: number | null; readonly low: number | null; readonly high: number | null };
  readonly adjustedPValue: number;
  readonly trainings: number | null;
}

/** Differences of arms on the same items, with p corrected for the comparisons beside them. */
export function DifferencesTable<Row extends Difference>({
  caption,
  rows,
  name,
  write,
}: {
  caption: string;
  rows: readonly Row[];
  name: (row: Row) => string;
  write?: (value: number) => string;
}) {
  return (
    <Table
      caption={caption}
      columns={[
        { name: "arms", show: name, value: name },
        {
          name: "difference",
          isNumber: true,
          show: ({ difference }) => <WithInterval of={difference} write={write} />,
          value: ({ difference }) => difference.value,
        },
        {
          name: "p, corrected",
          isNumber: true,
          show: ({ adjustedPValue }) => `p ${formatP(adjustedPValue)}`,
          value: ({ adjustedPValue }) => adjustedPValue,
        },
        {
          name: "trainings",
          isNumber: true,
          show: ({ trainings }) => (trainings === null ? "–" : formatCount(trainings)),
          value: ({ trainings }) => trainings,
        },
      ]}
      rows={rows}
      more={[
        { name: "low", value: ({ difference }) => difference.low },
        { name: "high", value: ({ difference }) => difference.high },
      ]}
    />
  );
}
