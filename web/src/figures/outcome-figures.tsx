import * as Plot from "@observablehq/plot";
import { formatCount, formatShare } from "../../../src/format.ts";
import type { ComparisonReport } from "../../../src/page/contract.ts";
import type { ComparisonRecord } from "../../../src/run/records/comparison.ts";
import { paper, paperSizeCurve } from "../paper.ts";
import { Figure } from "../parts/figure.tsx";

/*
 * The figures of a comparison, from A's point of view.
 */

const line = 34; // pixels for each group
const smallLine = 20; // where there are many
const head = 58;
const groupMargin = 120;
const narrow = 0.06; // share of a bar in which its number does not fit

interface GroupsProps {
  readonly title: string;
  readonly groups: readonly ComparisonRecord[];
  readonly a: string;
  readonly b: string;
}

/** Wins, ties and losses of each group as one bar. */
export function OutcomeBars({ title, groups, a, b }: GroupsProps) {
  const parts = groups.flatMap(({ group, counts: { win, tie, lose } }) => {
    const decided = Math.max(1, win + tie + lose);
    return [
      { group, name: "win", from: 0, to: win / decided, count: win },
      { group, name: "tie", from: win / decided, to: (win + tie) / decided, count: tie },
      { group, name: "lose", from: (win + tie) / decided, to: 1, count: lose },
    ].filter(({ count }) => count > 0);
  });
  return (
    <Figure
      title={title}
      label={`${a} against ${b}. ${groups.map(({ group, counts }) => `${group}: ${counts.win} wins, ${counts.tie} ties, ${counts.lose} losses, ${counts.undecided} undecided`).join("; ")}`}
      height={head + line * groups.length}
      from={[JSON.stringify(groups.map(({ group, counts }) => [group, counts]))]}
      legend={[
        { colour: "--win", name: `${a} wins` },
        { colour: "--tie", name: "tie" },
        { colour: "--lose", name: `${b} wins` },
      ]}
      draw={() => ({
        marginLeft: groupMargin,
        marginRight: 28,
        marginBottom: 36,
        marginTop: 8,
        x: {
          label: "share of decided pairs",
          domain: [0, 1],
          tickFormat: (share: number) => `${Math.round(100 * share)} %`,
          ticks: 5,
        },
        y: { label: null, domain: groups.map(({ group }) => group), tickFormat: shorten, padding: 0.25 },
        marks: [
          Plot.barX(parts, {
            y: "group",
            x1: "from",
            x2: "to",
            fill: ({ name }: { name: string }) => `var(--${name})`,
          }),
          Plot.text(parts, {
            y: "group",
            x: ({ from, to }: (typeof parts)[number]) => (from + to) / 2,
            text: ({ count, from, to }: (typeof parts)[number]) => (to - from > narrow ? formatCount(count) : ""),
            fill: "var(--on-bar)",
            fontWeight: "bold",
          }),
          Plot.text(
            parts.filter(({ from, to }) => to === 1 && to - from <= narrow),
            {
              y: "group",
              x: 1,
              dx: 4,
              textAnchor: "start",
              text: ({ count }: (typeof parts)[number]) => formatCount(count),
              fill: "var(--ink)",
            },
          ),
        ],
      })}
    />
  );
}

interface Point {
  readonly group: string;
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** The winning score of each group with its interval; 1 is parity. */
export function WinningScores({ title, groups, a, b }: GroupsProps) {
  const points = groups.flatMap(({ group, winningScore: { value, low, high } }): Point[] =>
    value === null ? [] : [{ group, value, low, high }],
  );
  return (
    <Figure
      title={title}
      label={`Winning score of ${a} against ${b}, with 95 % intervals. ${points.map(({ group, value, low, high }) => `${group}: ${value.toFixed(3)}, from ${low?.toFixed(3)} to ${high?.toFixed(3)}`).join("; ")}`}
      height={head + line * groups.length}
      from={[JSON.stringify(points)]}
      note={`${a} against ${b}: (wins − losses) / decided pairs + 1; 1 is parity. Lines: 95 % intervals, over prompts and, where there are several, trainings.`}
      draw={() => ({
        marginLeft: groupMargin,
        marginBottom: 36,
        marginTop: 8,
        x: { label: "winning score", domain: around(points, 1), grid: true },
        y: { label: null, domain: groups.map(({ group }) => group), tickFormat: shorten, type: "point" },
        marks: [
          Plot.ruleX([1], { stroke: "var(--ink)", strokeDasharray: "4 3" }),
          Plot.ruleY(points, { y: "group", x1: "low", x2: "high", stroke: "var(--kept)", strokeWidth: 2.5 }),
          Plot.dot(points, { y: "group", x: "value", fill: "var(--kept)", r: 5 }),
        ],
      })}
    />
  );
}

const shownBelow = 0.05; // p, corrected

/**
 * The winning score of each category, the highest first. Those that are shown to differ from parity, corrected for all categories, are filled.
 */
export function CategoryScores({ title, groups, a, b }: GroupsProps) {
  const points = groups
    .flatMap(({ group, winningScore: { value, low, high }, adjusted, pValue }) =>
      value === null ? [] : [{ group, value, low, high, isShown: (adjusted?.pValue ?? pValue) < shownBelow }],
    )
    .toSorted((one, other) => other.value - one.value);
  const shown = points.filter(({ isShown }) => isShown);
  const marksOf = (isShown: boolean) => {
    const own = points.filter((point) => point.isShown === isShown);
    return [
      Plot.ruleY(own, { y: "group", x1: "low", x2: "high", stroke: "var(--kept)", strokeWidth: 2, clip: true }),
      Plot.dot(own, {
        y: "group",
        x: "value",
        fill: isShown ? "var(--kept)" : "var(--back)",
        stroke: "var(--kept)",
        strokeWidth: 1.5,
        r: 4.5,
      }),
    ];
  };
  return (
    <Figure
      title={title}
      label={`Winning score of ${a} against ${b} by category, with 95 % intervals. ${points.map(({ group, value, low, high, isShown }) => `${group}: ${value.toFixed(3)}, from ${low?.toFixed(3)} to ${high?.toFixed(3)}${isShown ? ", shown to differ from 1" : ""}`).join("; ")}`}
      height={head + smallLine * points.length}
      from={[JSON.stringify(points)]}
      note={`${a} against ${b}; 1 is parity. Lines: 95 % intervals of each category alone. Filled: differs from parity with p under 0.05, corrected for all ${points.length} categories (Benjamini-Hochberg); ${shown.length === 0 ? "none does" : shown.length === 1 ? "one does" : `${shown.length} do`}.`}
      draw={() => ({
        marginLeft: groupMargin,
        marginBottom: 36,
        marginTop: 8,
        x: { label: "winning score", domain: [0, 2], grid: true },
        y: { label: null, domain: points.map(({ group }) => group), tickFormat: shorten, type: "point" },
        marks: [Plot.ruleX([1], { stroke: "var(--ink)", strokeDasharray: "4 3" }), ...marksOf(false), ...marksOf(true)],
      })}
    />
  );
}

/** The total score of each category as a share of the other side's, with its interval; where the judge gives scores. */
export function RelativeScores({ title, groups, a, b }: GroupsProps) {
  const points = groups
    .flatMap(({ group, relativeScore }): Point[] =>
      relativeScore && relativeScore.value !== null ? [{ group, ...relativeScore, value: relativeScore.value }] : [],
    )
    .toSorted((one, other) => other.value - one.value);
  return (
    <Figure
      title={title}
      label={`Score of ${a} as a share of that of ${b} by category, with 95 % intervals. ${points.map(({ group, value, low, high }) => `${group}: ${formatShare(value)}, ${low === null || high === null ? "without an interval" : `from ${formatShare(low)} to ${formatShare(high)}`}`).join("; ")}`}
      height={head + smallLine * points.length}
      from={[JSON.stringify(points)]}
      note={`The scores that the judge gives to ${a}, added up, over those of ${b}; 100 % is parity. Lines: 95 % intervals of each category alone; hollow where there are too few pairs for one.`}
      draw={() => ({
        marginLeft: groupMargin,
        marginBottom: 36,
        marginTop: 8,
        x: {
          label: `score over that of ${b}`,
          domain: around(points, 1),
          grid: true,
          tickFormat: (share: number) => `${Math.round(100 * share)} %`,
        },
        y: { label: null, domain: points.map(({ group }) => group), tickFormat: shorten, type: "point" },
        marks: [
          Plot.ruleX([1], { stroke: "var(--ink)", strokeDasharray: "4 3" }),
          Plot.ruleY(points, { y: "group", x1: "low", x2: "high", stroke: "var(--kept)", strokeWidth: 2 }),
          Plot.dot(points, {
            y: "group",
            x: "value",
            fill: ({ low }: Point) => (low === null ? "var(--back)" : "var(--kept)"),
            stroke: "var(--kept)",
            r: 4.5,
          }),
        ],
      })}
    />
  );
}

/** The win rate as counted, and as estimated for answers of equal length. */
export function LengthControl({ groups, a, b }: Omit<GroupsProps, "title">) {
  const points = groups.flatMap(({ group, winRate, length }) =>
    length
      ? [
          { group, kind: "as counted", ...winRate, shift: -5 },
          { group, kind: "at equal length", ...length.controlledWinRate, shift: 5 },
        ].flatMap(({ value, ...others }) => (value === null ? [] : [{ value, ...others }]))
      : [],
  );
  const marksOf = (kind: string, colour: string, dy: number) => {
    const own = points.filter((point) => point.kind === kind);
    return [
      Plot.ruleY(own, { y: "group", x1: "low", x2: "high", stroke: colour, strokeWidth: 2.5, dy }),
      Plot.dot(own, { y: "group", x: "value", fill: colour, r: 5, dy }),
    ];
  };
  return (
    <Figure
      title="Win rate, as counted and at equal length"
      label={`Win rate of ${a} against ${b}. ${points.map(({ group, kind, value }) => `${group} ${kind}: ${formatShare(value)}`).join("; ")}`}
      height={head + line * groups.length}
      from={[JSON.stringify(points)]}
      legend={[
        { colour: "--counted", name: "as counted, ties as half a win" },
        { colour: "--controlled", name: "if both answers were equally long (AlpacaEval 2's model)" },
      ]}
      note={`Win rate of ${a} against ${b}, with 95 % intervals; 50 % is parity. At equal length: the value is of a judge that likes length as GPT-4-turbo does, the interval also of those that like it twice as much, or not at all.`}
      draw={() => ({
        marginLeft: groupMargin,
        marginBottom: 36,
        marginTop: 8,
        x: {
          label: "win rate",
          domain: around(points, 0.5),
          grid: true,
          tickFormat: (share: number) => `${Math.round(100 * share)} %`,
        },
        y: { label: null, domain: groups.map(({ group }) => group), tickFormat: shorten, type: "point" },
        marks: [
          Plot.ruleX([0.5], { stroke: "var(--ink)", strokeDasharray: "4 3" }),
          ...marksOf("as counted", "var(--counted)", -5),
          ...marksOf("at equal length", "var(--controlled)", 5),
        ],
      })}
    />
  );
}

const paperSets = [
  { set: "vicuna", colour: "--line-1" },
  { set: "koala", colour: "--line-2" },
  { set: "wizardlm", colour: "--line-3" },
  { set: "self-instruct", colour: "--line-4" },
] as const;

/** Winning score by number of training rows, with the paper's curves for comparison. */
export function SizeCurve({
  comparisons,
  b,
}: {
  comparisons: readonly Pick<ComparisonReport, "a" | "judge" | "sizes" | "sets" | "pooled">[];
  b: string;
}) {
  const points = comparisons.flatMap(({ a, sizes, sets, pooled }) =>
    sizes.a === undefined
      ? []
      : [...(sets.length > 1 ? [pooled] : sets)].flatMap(({ winningScore: { value, low, high } }) =>
          value === null ? [] : [{ arm: a, rows: sizes.a!, value, low, high }],
        ),
  );
  if (points.length === 0) return null;
  const shown = [
    ...points,
    ...paperSizeCurve.map(({ winningScore }) => ({ value: winningScore, low: null, high: null })),
  ];
  return (
    <Figure
      title={`Winning score against ${b}, by training-set size`}
      label={`Winning score against ${b} by rows trained on. ${points.map(({ arm, rows, value }) => `${arm}, ${formatCount(rows)} rows: ${value.toFixed(3)}`).join("; ")}. Behind: the paper's curves for four test sets`}
      height={300}
      from={[JSON.stringify(points)]}
      legend={[
        { colour: "--kept", name: "this run, with 95 % interval" },
        ...paperSets.map(({ set, colour }) => ({ colour, name: `the paper's 7B on ${set}` })),
      ]}
      note={`Points of this run: ${comparisons[0]!.sets.length > 1 ? `pooled over ${comparisons[0]!.sets.map(({ group }) => group).join(", ")}` : comparisons[0]!.sets[0]!.group}, judged by ${comparisons[0]!.judge}. Dashed lines: the paper's 7B model against the same model trained on all 52,002 rows, with another judge and other base models (${paper}).`}
      draw={(width) => ({
        marginLeft: 48,
        marginRight: 24,
        marginBottom: 40,
        x: {
          label: "rows trained on",
          type: "log",
          domain: [
            Math.min(1_500, ...points.map(({ rows }) => rows * 0.8)),
            Math.max(70_000, ...points.map(({ rows }) => rows * 1.3)),
          ],
          grid: true,
          tickFormat: (rows: number) => formatCount(rows),
          ticks: width < 700 ? 3 : 6,
        },
        y: { label: "winning score", grid: true, domain: around(shown, 1) },
        marks: [
          Plot.ruleY([1], { stroke: "var(--ink)", strokeDasharray: "4 3" }),
          ...paperSets.map(({ set, colour }) =>
            Plot.line(
              paperSizeCurve.filter((point) => point.set === set),
              { x: "rows", y: "winningScore", stroke: `var(${colour})`, strokeWidth: 1.5, strokeDasharray: "6 3" },
            ),
          ),
          Plot.ruleX(points, { x: "rows", y1: "low", y2: "high", stroke: "var(--kept)", strokeWidth: 2.5 }),
          Plot.dot(points, { x: "rows", y: "value", fill: "var(--kept)", r: 5 }),
          Plot.text(points, {
            x: "rows",
            y: "value",
            text: "arm",
            dx: 9,
            textAnchor: "start",
            fill: "var(--ink)",
            fontWeight: "bold",
          }),
        ],
      })}
    />
  );
}

function shorten(group: string): string {
  return group.length > 17 ? `${group.slice(0, 16)}…` : group;
}

/** An axis range that covers all intervals and the point of parity, with a margin. */
export function around(
  points: readonly { readonly value: number; readonly low: number | null; readonly high: number | null }[],
  parity: number,
): [number, number] {
  const ends = [parity, ...points.flatMap(({ value, low, high }) => [value, low ?? value, high ?? value])];
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const margin = Math.max(0.02, (high - low) * 0.06);
  return [low - margin, high + margin];
}
