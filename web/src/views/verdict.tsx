import { formatCount, formatNumbered, formatP } from "../../../src/format.ts";
import { shellWord } from "../../../src/shell-word.ts";
import { countPrompts, describeNeeded, describeP } from "../../../src/comparison/conclude.ts";
import type { ComparisonReport, RunReport } from "../../../src/page/contract.ts";
import type { ComparisonRecord } from "../../../src/run/records/comparison.ts";
import {
  CategoryScores,
  LengthControl,
  OutcomeBars,
  RelativeScores,
  SizeCurve,
  WinningScores,
} from "../figures/outcome-figures.tsx";
import { People } from "../parts/people.tsx";
import { Ranking } from "./ranking.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Plain } from "../parts/text.tsx";
import { Fact, Notice, TrustLine, WithInterval, type Figured } from "../parts/words.tsx";
import { hashOf } from "../place.ts";

interface VerdictProps {
  readonly report: RunReport;
  /** The comparison in the link. */
  readonly chosen: string | undefined;
  readonly onChoose: (key: string) => void;
}

/** Who won, how sure that is, and how far the judge can be trusted. */
export function VerdictView({ report: { run, comparisons, rankings, people }, chosen, onChoose }: VerdictProps) {
  const comparison = comparisons.find(({ key }) => key === chosen) ?? comparisons[0]!;
  const labels = people.find(({ a, b }) => a === comparison.a && b === comparison.b);
  const rivals = comparisons.filter(({ b, judge }) => b === comparison.b && judge === comparison.judge);
  return (
    <>
      {comparisons.length > 1 && (
        <section aria-labelledby="comparisons">
          <h2 id="comparisons">Comparisons</h2>
          <ul class="choices">
            {comparisons.map(({ key, a, b, judge, sentence }) => (
              <li>
                <button type="button" aria-pressed={key === comparison.key} onClick={() => onChoose(key)}>
                  {a} against {b}, by {judge}
                </button>{" "}
                <span class="quiet">{sentence}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <Comparison comparison={comparison} isAmongSeveral={comparisons.length > 1} />
      {rankings.map((ranking) => (
        <Ranking ranking={ranking} />
      ))}
      {labels && <People labels={labels} judge={comparison.judge} />}
      <SizeCurve comparisons={rivals} b={comparison.b} />
      {rivals.every(({ sizes }) => sizes.a === undefined) && (
        <p class="quiet">
          The winning score by training-set size needs the rows that {comparison.a} was trained on:{" "}
          <code>
            alpagasus report --size {shellWord(comparison.a)}=ROWS --run {shellWord(run)}
          </code>
        </p>
      )}
    </>
  );
}

function Comparison({
  comparison,
  isAmongSeveral,
}: {
  comparison: ComparisonReport;
  /** Whether the page's head speaks of another comparison. */
  isAmongSeveral: boolean;
}) {
  const { a, b, judge, sentence, pooled, sets, notes, gates, question, missing, trust } = comparison;
  const groups = sets.length > 1 ? [...sets, pooled] : [pooled];
  const severalSets = sets.length > 1;
  const name = (some: ComparisonReport["categories"]) =>
    some.map((result) => ({ ...result, group: severalSets ? `${result.set}: ${result.group}` : result.group }));
  const named = name(comparison.categories);
  const byDifficulty = name(comparison.difficulties ?? []);
  return (
    <section aria-labelledby="verdict">
      <h2 id="verdict" class="sentence">
        {sentence}
      </h2>
      <p class="quiet">
        {countPrompts(pooled)}, judged by {judge}
        {question && ` with the rubric ${question.rubric}`}
        {missing > 0 && `; ${formatCount(missing)} prompts that only one side answered are left out`}
      </p>
      {isAmongSeveral && <TrustLine trust={trust} />}
      {gates
        .filter(({ held }) => !held)
        .map(({ message }) => (
          <Notice kind="alarm">{message}</Notice>
        ))}
      {notes.map((note) => (
        <Notice kind="note">{note}</Notice>
      ))}
      <Trust comparison={comparison} />
      <div class="sides">
        <OutcomeBars title="Wins, ties and losses" groups={groups} a={a} b={b} />
        <WinningScores title="Winning score" groups={groups} a={a} b={b} />
      </div>
      <Results by="test set" comparison={comparison} rows={groups} />
      {pooled.withoutOneSet && (
        <p class="quiet">
          The pooled interval covers new prompts from these sets, not other sets. With one set left out, the winning
          score is {pooled.withoutOneSet.low.winningScore.toFixed(3)} (without {pooled.withoutOneSet.low.set}) to{" "}
          {pooled.withoutOneSet.high.winningScore.toFixed(3)} (without {pooled.withoutOneSet.high.set}).
        </p>
      )}
      {pooled.length && (
        <>
          <LengthControl groups={groups} a={a} b={b} />
          <p>
            Answers of {a} have {formatCount(pooled.length.meanA)} characters on average, those of {b}{" "}
            {formatCount(pooled.length.meanB)}
            {pooled.length.longerWins.value !== null && (
              <>
                ; the longer answer wins <WithInterval of={pooled.length.longerWins} asShare /> of the decided pairs
                that are not tied
              </>
            )}
            .
          </p>
        </>
      )}
      {pooled.relativeScore && (
        <p>
          {a} gets <WithInterval of={pooled.relativeScore} asShare /> of the total score of {b}
          {pooled.identical > 0 &&
            `, without the ${formatNumbered(pooled.identical, "pair", "pairs")} of identical answers`}
          .
        </p>
      )}
      {named.length > 0 && (
        <>
          <CategoryScores title="Winning score by category" groups={named} a={a} b={b} />
          {named.some(({ relativeScore }) => relativeScore) && (
            <RelativeScores title="Relative score by category" groups={named} a={a} b={b} />
          )}
          <OutcomeBars title="Wins, ties and losses by category" groups={named} a={a} b={b} />
          <Results by="category" comparison={comparison} rows={named} />
        </>
      )}
      {byDifficulty.length > 0 && (
        <>
          <WinningScores title="Winning score by difficulty" groups={byDifficulty} a={a} b={b} />
          <Results by="difficulty" comparison={comparison} rows={byDifficulty} />
        </>
      )}
    </section>
  );
}

/** How far to trust the figures: contradictory orders, pairs without a verdict, agreement with other judges. */
function Trust({ comparison: { key, a, b, pooled, seesOrder, agreement, states } }: { comparison: ComparisonReport }) {
  const { orders, counts, identical } = pooled;
  const pairs = (query: Record<string, string>) => hashOf("pairs", { comparison: key, ...query });
  const unread = Object.entries(states).filter(([state]) => state !== "judged");
  return (
    <>
      <dl class="facts">
        <Fact name="winning score">
          <WithInterval of={pooled.winningScore} />
        </Fact>
        <Fact
          name="probability of this result if neither is better"
          note={pooled.conclusion === "no difference shown" ? describeNeeded(pooled) || undefined : undefined}
        >
          {describeP(pooled)}
        </Fact>
        {seesOrder && orders.pairs > 0 && (
          <Fact name="flip rate" note={<a href={pairs({ orders: "flipped" })}>show the contradictory pairs</a>}>
            <WithInterval of={orders.flipRate} asShare />
          </Fact>
        )}
        {seesOrder && orders.first + orders.second > 0 && (
          <Fact
            name="prefers the answer shown first"
            note={`${formatCount(orders.first)} to ${formatCount(orders.second)}, ${formatCount(orders.draws)} draws`}
          >
            <WithInterval of={orders.firstShare} asShare />
          </Fact>
        )}
        <Fact name="undecided" note={counts.undecided > 0 && <a href={pairs({ outcome: "undecided" })}>show them</a>}>
          {formatNumbered(counts.undecided, "pair", "pairs")}
        </Fact>
        {identical > 0 && (
          <Fact name="equal answers">{formatNumbered(identical, "tie", "ties")} without calling the judge</Fact>
        )}
        {unread.map(([state, count]) => (
          <Fact name={`replies ${state}`} note={<a href={pairs({ orders: "unread" })}>show them</a>}>
            {formatCount(count)}
          </Fact>
        ))}
      </dl>
      {agreement.map(({ with: other, pairs: both, share, kappa, correlation }) => (
        <p>
          Agreement with {other} on {formatCount(both)} pairs: <WithInterval of={share} asShare /> identical outcomes,
          kappa <WithInterval of={kappa} />, correlation <WithInterval of={correlation} />.
        </p>
      ))}
      <p>
        <a href={pairs({})}>
          All pairs of {a} and {b}
        </a>
      </p>
    </>
  );
}

type Group = ComparisonRecord;

/** The results of each group as a table; pooled ones are marked. */
function Results({
  by,
  comparison,
  rows,
}: {
  by: "test set" | "category" | "difficulty";
  comparison: ComparisonReport;
  rows: readonly Group[];
}) {
  return (
    <Table
      caption={`Results by ${by}`}
      columns={resultColumns(comparison, by)}
      rows={rows}
      isMarked={({ group }) => by === "test set" && group === "pooled"}
      more={intervalColumns}
    />
  );
}

function resultColumns({ seesOrder, pooled }: ComparisonReport, kind: string): readonly Column<Group>[] {
  const count = (name: keyof Group["counts"]): Column<Group> => ({
    name,
    isNumber: true,
    show: ({ counts }) => formatCount(counts[name]),
    value: ({ counts }) => counts[name],
  });
  const figured = (name: string, of: (group: Group) => Figured | undefined, asShare = false): Column<Group> => ({
    name,
    isNumber: true,
    show: (group) => {
      const found = of(group);
      return found ? <WithInterval of={found} asShare={asShare} /> : "–";
    },
    value: (group) => of(group)?.value,
  });
  const isGraded = pooled.gradedWinRate !== undefined;
  return [
    { name: kind, show: ({ group }) => <Plain>{group}</Plain>, value: ({ group }) => group },
    { name: "pairs", isNumber: true, show: ({ pairs }) => formatCount(pairs), value: ({ pairs }) => pairs },
    count("win"),
    count("tie"),
    count("lose"),
    count("undecided"),
    ...(seesOrder ? [figured("flip rate", ({ orders }) => orders.flipRate, true)] : []),
    figured("winning score", ({ winningScore }) => winningScore),
    figured("win rate", ({ winRate }) => winRate, true),
    ...(isGraded ? [figured("graded win rate", ({ gradedWinRate }) => gradedWinRate, true)] : []),
    figured("at equal length", ({ length }) => length?.controlledWinRate, true),
    {
      name: "p",
      isNumber: true,
      show: ({ pValue }) => formatP(pValue).replace(/^= /, ""),
      value: ({ pValue }) => pValue,
    },
    {
      name: "p, corrected",
      isNumber: true,
      show: ({ adjusted }) => (adjusted ? formatP(adjusted.pValue).replace(/^= /, "") : "–"),
      value: ({ adjusted }) => adjusted?.pValue,
    },
    { name: "conclusion", show: ({ conclusion }) => conclusion, value: ({ conclusion }) => conclusion },
  ];
}

/** CSV columns with the ends of the intervals. */
const intervalColumns = (
  [
    ["winning score", ({ winningScore }: Group) => winningScore],
    ["win rate", ({ winRate }: Group) => winRate],
    ["flip rate", ({ orders }: Group) => orders.flipRate],
    ["at equal length", ({ length }: Group) => length?.controlledWinRate],
  ] as const
).flatMap(([name, of]) =>
  (["low", "high"] as const).map((end) => ({ name: `${name}, ${end}`, value: (group: Group) => of(group)?.[end] })),
);
