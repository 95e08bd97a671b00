import { formatCount, formatDuration, formatP, formatUsd } from "../../../src/format.ts";
import type { RunReport } from "../../../src/page/contract.ts";
import type { ExperimentArm, ExperimentResult, MatchResult } from "../../../src/run/records/experiment.ts";
import { LossCurves, SeedSpread, StageTimes } from "../figures/experiment-figures.tsx";
import { OutcomeBars, SizeCurve, WinningScores } from "../figures/outcome-figures.tsx";
import { Benchmarks } from "./benchmarks.tsx";
import { Losses } from "./losses.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Plain } from "../parts/text.tsx";
import { Fact, Notice, WithInterval } from "../parts/words.tsx";

/** The result of a whole experiment: did selecting help, how sure is that, and what did it save? */
export function ExperimentView({ report, experiment }: { report: RunReport; experiment: ExperimentResult }) {
  const { sentence, caveat, source, arms, matches, losses, benchmarks, savings, money } = experiment;
  const judges = [...new Set(matches.map(({ judge }) => judge))];
  const first = matches.filter(({ judge }) => judge === judges[0]);
  const groups = first.map((match) => ({ ...match.pooled, group: `${match.a} – ${match.b}` }));
  const rowsOf = (name: string) => arms.find(({ arm }) => arm === name)?.rows ?? undefined;
  const larger = first.filter(({ a, b }) => (rowsOf(b) ?? 0) > (rowsOf(a) ?? Infinity)); // the paper's curve is against all rows
  return (
    <>
      <h2 class="sentence">{sentence}</h2>
      {caveat !== undefined && <Notice kind="note">{caveat}</Notice>}
      {source !== undefined && (
        <p class="quiet">
          Source: <Plain>{source}</Plain>
        </p>
      )}
      <dl class="facts">
        {savings
          .filter(({ timesFaster }) => timesFaster > 1)
          .map(({ arm, full, timesFaster, minutes, usd, paysBackAfter }) => (
            <Fact
              name={`training on ${arm}`}
              note={[
                `${formatDuration(60_000 * minutes)} less than on ${full}`,
                ...(usd === null || usd <= 0 ? [] : [`${formatUsd(usd)} cheaper`]),
                ...(paysBackAfter === null || paysBackAfter === 0
                  ? []
                  : [`pays for the rating after ${formatCount(paysBackAfter)} trainings`]),
              ].join(", ")}
            >
              {timesFaster.toFixed(1)} times faster
            </Fact>
          ))}
        {(["rating", "training", "generating", "comparing"] as const).map((stage) => (
          <Fact name={`${stage} cost`}>{money[stage] === null ? "not known" : formatUsd(money[stage])}</Fact>
        ))}
      </dl>
      {groups.length > 0 && (
        <>
          <div class="sides">
            <OutcomeBars title="Wins, ties and losses" groups={groups} a="the first" b="the second" />
            <WinningScores title="Winning score" groups={groups} a="the first" b="the second" />
          </div>
          <Table
            caption="Results"
            columns={matchColumns(judges.length > 1)}
            rows={matches.flatMap(withSets)}
            isMarked={({ group }) => group === "all prompts"}
          />
        </>
      )}
      <SeedSpread matches={matches} />
      {[...new Set(larger.map(({ b }) => b))].map((b) => (
        <SizeCurve
          b={b}
          comparisons={larger
            .filter((match) => match.b === b)
            .map(({ a, judge, sets, pooled }) => {
              const rows = rowsOf(a);
              return { a, judge, sets, pooled, sizes: { a: rows, b: undefined } };
            })}
        />
      ))}
      {losses && <Losses losses={losses} />}
      {benchmarks && benchmarks.length > 0 && <Benchmarks benchmarks={benchmarks} />}
      <Table caption="Arms" columns={armColumns} rows={arms} isMarked={() => false} />
      <LossCurves arms={arms} />
      {report.stages.length > 0 && <StageTimes stages={report.stages} />}
    </>
  );
}

interface ResultRow extends Pick<MatchResult, "a" | "b" | "judge"> {
  readonly group: string;
  readonly of: MatchResult["pooled"];
}

/** A match's result for each test set, and over all of them. */
function withSets({ a, b, judge, sets, pooled }: MatchResult): ResultRow[] {
  const own = { a, b, judge };
  return [
    ...(sets.length > 1 ? sets.map((set) => ({ ...own, group: set.group, of: set })) : []),
    { ...own, group: "all prompts", of: pooled },
  ];
}

function matchColumns(hasJudges: boolean): readonly Column<ResultRow>[] {
  const count = (name: "win" | "tie" | "lose" | "undecided"): Column<ResultRow> => ({
    name,
    isNumber: true,
    show: ({ of }) => formatCount(of.counts[name]),
    value: ({ of }) => of.counts[name],
  });
  return [
    {
      name: "match",
      show: ({ a, b }) => <Plain>{`${a} – ${b}`}</Plain>,
      value: ({ a, b }) => `${a} – ${b}`,
    },
    ...(hasJudges
      ? [
          {
            name: "judge",
            show: ({ judge }: ResultRow) => <Plain>{judge}</Plain>,
            value: ({ judge }: ResultRow) => judge,
          },
        ]
      : []),
    { name: "test set", show: ({ group }) => <Plain>{group}</Plain>, value: ({ group }) => group },
    count("win"),
    count("tie"),
    count("lose"),
    count("undecided"),
    {
      name: "winning score",
      isNumber: true,
      show: ({ of }) => <WithInterval of={of.winningScore} />,
      value: ({ of }) => of.winningScore.value,
    },
    {
      name: "p",
      isNumber: true,
      show: ({ of }) => formatP(of.pValue).replace(/^= /, ""),
      value: ({ of }) => of.pValue,
    },
    {
      name: "p, corrected",
      isNumber: true,
      show: ({ of }) => (of.adjusted ? formatP(of.adjusted.pValue).replace(/^= /, "") : "–"),
      value: ({ of }) => of.adjusted?.pValue,
    },
  ];
}

const armColumns: readonly Column<ExperimentArm>[] = [
  { name: "arm", show: ({ arm }) => <Plain>{arm}</Plain>, value: ({ arm }) => arm },
  {
    name: "rows",
    isNumber: true,
    show: ({ rows }) => (rows === null ? "–" : formatCount(rows)),
    value: ({ rows }) => rows,
  },
  {
    name: "trainings",
    isNumber: true,
    show: ({ trainings }) => formatCount(trainings.length),
    value: ({ trainings }) => trainings.length,
  },
  {
    name: "time per training",
    isNumber: true,
    show: ({ minutes }) => (minutes === null ? "–" : formatDuration(60_000 * minutes)),
    value: ({ minutes }) => minutes,
  },
  {
    name: "cost per training",
    isNumber: true,
    show: ({ usd }) => (usd === null ? "–" : formatUsd(usd)),
    value: ({ usd }) => usd,
  },
  {
    name: "final loss",
    isNumber: true,
    show: ({ trainings }) => trainings.map(({ finalLoss }) => finalLoss?.toFixed(3) ?? "–").join(", ") || "–",
    value: ({ trainings }) => trainings[0]?.finalLoss,
  },
];
