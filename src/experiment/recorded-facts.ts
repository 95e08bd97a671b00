import type { PairVerdict } from "../comparison/verdict.ts";
import { formatApart, formatMetric } from "../format.ts";
import { toEstimateRecord } from "../run/estimate-record.ts";
import type { ExperimentResult } from "../run/records/experiment.ts";
import { holm } from "../stats/many-comparisons.ts";
import type { Outcome } from "../stats/outcomes.ts";
import { exactShare } from "../stats/proportion.ts";
import { isPossibleShare, shareDifference } from "../stats/share-difference.ts";
import type { ExperimentFacts } from "./facts.ts";
import { meanTraining, poolMatches } from "./pool-matches.ts";
import type { ExperimentRecipe } from "./recipe.ts";

/*
 * Experiments that were made elsewhere, of which only counts and percentages are known.
 */

type Recorded = NonNullable<ExperimentRecipe["recorded"]>;

/** The facts of an experiment that was run elsewhere, from its recorded counts. */
export function recordedFacts({
  name,
  caveat,
  source,
  recorded,
}: Pick<ExperimentRecipe, "name" | "caveat" | "source" | "recorded">): ExperimentFacts {
  const { judge = "", rating_usd: rating = null, arms, comparisons } = recorded!;
  const total = (values: readonly (number | undefined)[]) =>
    values.some((value) => value === undefined) ? null : values.reduce<number>((sum, value) => sum + value!, 0);
  const most = Math.max(...Object.values(arms).map(({ rows }) => rows));
  const isAlone = Object.values(arms).filter(({ rows }) => rows === most).length === 1;
  const methods = Object.fromEntries(
    Object.entries(arms).map(([arm, { rows }]) => [
      arm,
      arm === "random" ? arm : rows === most && isAlone ? "full" : "score",
    ]),
  );
  return {
    name,
    caveat,
    source,
    isPublished: true,
    arms: Object.entries(arms).map(([arm, { rows, minutes, usd }]) => {
      const trainings = minutes === undefined ? [] : [{ minutes, usd: usd ?? null, finalLoss: null, lossCurve: [] }];
      return { arm, rows, trainings, ...meanTraining(trainings) };
    }),
    matches: comparisons.map(({ a, b, sets }) =>
      poolMatches({ a, b, judge }, [{ a, b, verdicts: sets.flatMap(toVerdicts) }]),
    ),
    benchmarks: recorded!.benchmarks.length > 0 ? benchmarkFacts(recorded!, methods) : undefined,
    trainings: recorded!.trainings,
    money: { rating, training: total(Object.values(arms).map(({ usd }) => usd)), generating: null, comparing: null },
    methods,
  };
}

/** Makes pairs that give the published counts. */
function toVerdicts({ set, win, tie, lose }: { set: string; win: number; tie: number; lose: number }): PairVerdict[] {
  const outcomes: Outcome[] = [
    ...Array<Outcome>(win).fill("win"),
    ...Array<Outcome>(tie).fill("tie"),
    ...Array<Outcome>(lose).fill("lose"),
  ];
  return outcomes.map((outcome, i) => ({ id: String(i), set, outcome, orders: [] }));
}

const significance = 0.05;
const unpairedNote =
  "only percentages were published: the items could not be paired, so differences that these figures do not show may be there";
const itemsWithoutGaps = 5000; // of so many, every percentage with two decimals is near enough to a whole number

const wholeItems = /^(accuracy|acc|exact_match|pass@\d+)$/; // metrics by which an item is right or wrong

/** Published percentages with intervals; every selected arm against the others, corrected for all of them. */
function benchmarkFacts(
  { arms, trainings, benchmarks }: Recorded,
  methods: ExperimentFacts["methods"],
): NonNullable<ExperimentResult["benchmarks"]> {
  const names = Object.keys(arms);
  const selected = names.filter((arm) => methods[arm] === "score");
  const tested = selected.length > 0 ? selected : names.slice(0, 1);
  const pairs = tested.flatMap((a, i) =>
    names.filter((b) => !tested.slice(0, i + 1).includes(b)).map((b) => [a, b] as const),
  );
  const compared = benchmarks.map(({ percent, items }) =>
    pairs.flatMap(([a, b]) => {
      const [ours, theirs] = [percent[a], percent[b]];
      if (ours === undefined || theirs === undefined) return [];
      const means: [number, number] = [toShare(ours), toShare(theirs)];
      return { a, b, means, difference: shareDifference({ share: means[0], items }, { share: means[1], items }) };
    }),
  );
  const adjusted = holm(compared.flat().map(({ difference }) => difference.pValue));
  let next = 0;
  return benchmarks.map(({ task, metric, items, percent }, i) => {
    const decimals = Math.max(...Object.values(percent).map((value) => String(value).split(".")[1]?.length ?? 0));
    const impossible = Object.entries(percent).filter(
      ([, value]) => wholeItems.test(metric) && items < itemsWithoutGaps && !isPossibleShare(value, items, decimals),
    );
    return {
      task,
      metric,
      harness: null,
      models: Object.entries(percent).map(([arm, value]) => {
        const share = { ...exactShare((value / 100) * items, items), value: toShare(value) };
        return {
          model: arm,
          group: arm,
          value: toEstimateRecord(share),
          harnessValue: toShare(value),
          items,
          path: "",
        };
      }),
      differences: compared[i]!.map(({ a, b, means, difference }) => {
        const adjustedPValue = adjusted[next++]!;
        return {
          a,
          b,
          items,
          trainings: trainings ?? null,
          means,
          difference: toEstimateRecord(difference),
          pValue: difference.pValue,
          test: "unpaired" as const,
          adjustedPValue,
          unpairedPValue: difference.pValue,
          sentence: conclude(task, a, b, means, adjustedPValue),
        };
      }),
      notes: [
        ...(compared[i]!.length > 0 ? [unpairedNote] : []),
        ...impossible.map(
          ([arm, value]) =>
            `${task}: ${value.toFixed(decimals)} % of ${arm} is no whole number of ${items} items (${((value / 100) * items).toFixed(2)}): a slip, or the mean of several runs`,
        ),
      ],
    };
  });
}

/** `38.78` as 0.3878, without the noise of binary fractions. */
function toShare(percent: number): number {
  return Number((percent / 100).toPrecision(12));
}

function conclude(task: string, a: string, b: string, [ours, theirs]: readonly [number, number], p: number): string {
  if (!(p < significance))
    return `${task}: ${a} (${formatMetric(ours)}) and ${b} (${formatMetric(theirs)}) cannot be told apart by these percentages.`;
  const [more, less] = ours > theirs ? [a, b] : [b, a];
  const [highest, lowest] = formatApart(Math.max(ours, theirs), Math.min(ours, theirs));
  return `${task}: ${more} has ${highest}, more than the ${lowest} of ${less}; this is about these trained models, not about how their rows were chosen.`;
}
