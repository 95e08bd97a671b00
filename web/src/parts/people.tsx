import { formatCount, formatNumbered } from "../../../src/format.ts";
import type { LabelsSummary } from "../../../src/page/people-labels.ts";
import { Table } from "./table.tsx";
import { Notice, WithInterval } from "./words.tsx";

/** What people say of a comparison, and how far its judge agrees with them. */
export function People({ labels, judge }: { labels: LabelsSummary; judge: string }) {
  const { a, b, pairs, majority, winRate, kappa, annotators, notes } = labels;
  const agreed = labels.judges.find((one) => one.judge === judge)?.all;
  return (
    <section aria-labelledby="people">
      <h3 id="people">By people</h3>
      <p>
        {formatNumbered(annotators.length, "person", "people")} labelled {formatNumbered(pairs, "pair", "pairs")}: most
        say {a} in {formatCount(majority.win)}, {b} in {formatCount(majority.lose)}, a tie in{" "}
        {formatCount(majority.tie)}
        {majority.undecided > 0 && `, and disagree in ${formatCount(majority.undecided)}`}. The win rate of {a} is{" "}
        <WithInterval of={winRate} asShare />
        {kappa.value !== null && (
          <>
            ; they agree by a kappa of <WithInterval of={kappa} />
          </>
        )}
        {agreed && agreed.kappa.value !== null && (
          <>
            , and {judge} agrees with most of them by one of <WithInterval of={agreed.kappa} />
          </>
        )}
        .
      </p>
      <Table
        caption="Labels by person"
        columns={[
          { name: "person", show: ({ annotator }) => annotator, value: ({ annotator }) => annotator },
          {
            name: "pairs",
            isNumber: true,
            show: ({ labelled }) => formatCount(labelled),
            value: ({ labelled }) => labelled,
          },
          {
            name: `win rate of ${a}`,
            isNumber: true,
            show: (row) => <WithInterval of={row.winRate} asShare />,
            value: (row) => row.winRate.value,
          },
          {
            name: "the same label again",
            isNumber: true,
            show: ({ consistency, repeats }) => (repeats === 0 ? "-" : <WithInterval of={consistency} asShare />),
            value: ({ consistency }) => consistency.value,
          },
        ]}
        rows={annotators}
      />
      {notes.map((note) => (
        <Notice kind="note">{note}</Notice>
      ))}
    </section>
  );
}
