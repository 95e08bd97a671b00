import { formatCount } from "../../../src/format.ts";
import type { Ranking as Ranked } from "../../../src/comparison/ranking.ts";
import { Table } from "../parts/table.tsx";
import { WithInterval } from "../parts/words.tsx";

/** The arms that a judge compared with one another, strongest first. */
export function Ranking({ ranking: { judge, arms, leftOut } }: { ranking: Ranked }) {
  return (
    <section aria-label={`Ranking by ${judge}`}>
      <h2>Ranking by {judge}</h2>
      <p class="quiet">
        How often each arm would win against one of average strength among these {formatCount(arms.length)}, by the
        Bradley-Terry model of all their comparisons. Intervals are for new prompts, one arm at a time: whether two arms
        differ is said by their own comparison.
        {leftOut.length > 0 && ` Left out, since it was not compared with each: ${leftOut.join(", ")}.`}
      </p>
      <Table
        caption={`Ranking by ${judge}`}
        columns={[
          { name: "rank", isNumber: true, show: ({ rank }) => rank, value: ({ rank }) => rank },
          { name: "arm", show: ({ arm }) => arm, value: ({ arm }) => arm },
          {
            name: "against an average arm",
            isNumber: true,
            show: ({ winRate }) => <WithInterval of={winRate} asShare />,
            value: ({ winRate }) => winRate.value,
          },
          {
            name: "decided pairs",
            isNumber: true,
            show: ({ decided }) => formatCount(decided),
            value: ({ decided }) => decided,
          },
        ]}
        rows={arms}
        more={[
          { name: "low", value: ({ winRate }) => winRate.low },
          { name: "high", value: ({ winRate }) => winRate.high },
        ]}
      />
    </section>
  );
}
