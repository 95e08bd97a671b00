import { existsSync, readdirSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { measureOutcomeAgreement, pairKey } from "../comparison/agreement.ts";
import {
  byPair,
  consistency,
  kappaOfAll,
  kappaOfTwo,
  majority,
  winRateByPeople,
} from "../comparison/label-agreement.ts";
import { comparisonName } from "../comparison/comparison-name.ts";
import { hashAnswers } from "../comparison/label-sample.ts";
import { readLabelFile, type PairLabel } from "../comparison/label-file.ts";
import { readVerdicts } from "../comparison/verdicts-file.ts";
import { AlpagasusError, RunError, UsageError } from "../errors.ts";
import { formatNumbered } from "../format.ts";
import { toEstimateRecord } from "../run/estimate-record.ts";
import { shellWord } from "../shell-word.ts";
import type { ComparisonSummary, OutcomeAgreement, ComparisonRecord } from "../run/records/comparison.ts";
import { readManifest, runFolder, type RunFolder } from "../run/run-folder.ts";
import { defaultSeed } from "../stats/random.ts";

export interface LabelsOptions {
  /** The run's folder. */
  readonly run: string;
  /** The two arms, where the run has compared several. */
  readonly arms?: readonly [a: string, b: string] | undefined;
  readonly seed?: number | undefined;
}

type Estimate = ComparisonRecord["winRate"];

/** What people say of two arms' answers. Win rates are A's, ties as halves. */
export interface LabelsSummary {
  readonly a: string;
  readonly b: string;
  readonly annotators: readonly {
    readonly annotator: string;
    readonly path: string;
    readonly labelled: number;
    readonly skipped: number;
    readonly winRate: Estimate;
    /** How often a pair that was shown again was labelled as before. */
    readonly consistency: Estimate;
    readonly repeats: number;
  }[];
  /** Pairs that somebody labelled, and what most people say of them; `undecided`: no answer has most votes. */
  readonly pairs: number;
  readonly majority: { readonly win: number; readonly tie: number; readonly lose: number; readonly undecided: number };
  /** Over all labels: pairs and people are crossed sources of variance. */
  readonly winRate: Estimate;
  /** Fleiss' kappa over pairs that at least two people labelled. */
  readonly kappa: Estimate & { readonly pairs: number };
  readonly betweenTwo: readonly {
    readonly one: string;
    readonly other: string;
    /** Cohen's. */
    readonly kappa: Estimate;
    readonly pairs: number;
    readonly agreed: number;
  }[];
  /** Each judge against the majority: over all pairs, and by test set and category. */
  readonly judges: readonly {
    readonly judge: string;
    readonly all: OutcomeAgreement;
    readonly sets: readonly OutcomeAgreement[];
    readonly categories: readonly OutcomeAgreement[];
  }[];
  readonly notes: readonly string[];
}

/** All labels of a comparison, by annotator. */
export interface LabelsRead {
  readonly a: string;
  readonly b: string;
  readonly annotators: readonly {
    readonly annotator: string;
    readonly path: string;
    readonly labels: readonly PairLabel[];
  }[];
}

/** @throws RunError when nobody has labelled anything */
export async function readAllLabels(options: Pick<LabelsOptions, "run" | "arms">): Promise<LabelsRead> {
  const run = runFolder(options.run);
  const { a, b } = await findComparison(run, options.arms);
  const comparison = comparisonName(a, b, "people");
  const names = listFolder(run.labelsFolder(comparison)).filter((name) => name.endsWith(".jsonl"));
  const annotators = names.toSorted().flatMap((name) => {
    const annotator = name.slice(0, -".jsonl".length);
    const path = run.labelsPath(comparison, annotator);
    const labels = readLabelFile(path).filter(
      (label) => label.a === a && label.b === b && label.annotator === annotator,
    );
    return labels.length > 0 ? [{ annotator, path, labels }] : [];
  });
  if (annotators.length === 0)
    throw new RunError(
      `${run.labelsFolder(comparison)}: expected labels of ${a} and ${b}, found none; label some first: alpagasus view --label YOUR-NAME${options.arms ? ` --arms ${shellWord(options.arms.join(" "))}` : ""} --run ${shellWord(run.folder)}`,
    );
  return { a, b, annotators };
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // nobody has labelled anything
  }
}

/** What annotators are shown today, by pair: the hash of its answers, and the prompt that it belongs to. */
async function readShown(
  run: RunFolder,
  arms: LabelsOptions["arms"],
): Promise<ReadonlyMap<string, { readonly answers: string; readonly prompt: string }>> {
  const { verdictsPath } = await findComparison(run, arms);
  const verdicts = await readVerdicts(run.verdictsPath(basename(verdictsPath!, ".jsonl")));
  return new Map(
    verdicts.map((verdict) => [
      pairKey(verdict),
      { answers: hashAnswers(verdict), prompt: pairKey({ set: verdict.set, id: verdict.prompt ?? verdict.id }) },
    ]),
  );
}

/** What people's labels of a comparison say, and how far judges agree with them. */
export async function summariseLabels(options: LabelsOptions): Promise<LabelsSummary> {
  const { seed = defaultSeed } = options;
  const run = runFolder(options.run);
  const { a, b, annotators } = await readAllLabels(options);
  const shown = await readShown(run, options.arms);
  const isCurrent = (label: PairLabel) => shown.get(pairKey(label))?.answers === label.answers;
  const current = annotators.map(({ labels }) => labels.filter(isCurrent));
  const stale = annotators.reduce((sum, { labels }, i) => sum + labels.length - current[i]!.length, 0);
  const people = current.map((labels) => byPair(labels));
  const most = majority(people);
  const clusterOf = (pair: string) => shown.get(pair)?.prompt ?? pair;
  const comparisons = Object.values((await readManifest(run))?.comparisons ?? {}).filter(
    (comparison) => comparison.a === a && comparison.b === b && comparison.verdictsPath !== undefined,
  );
  const judges = await Promise.all(
    comparisons.map(async ({ judge, verdictsPath }) => {
      const verdicts = (await readVerdicts(run.verdictsPath(basename(verdictsPath!, ".jsonl")))).filter(
        (verdict) => most.has(pairKey(verdict)) && shown.get(pairKey(verdict))?.answers === hashAnswers(verdict),
      );
      const by = (key: (verdict: (typeof verdicts)[number]) => string | undefined) =>
        [...Map.groupBy(verdicts, key)].flatMap(([name, own]) =>
          name === undefined ? [] : [measureOutcomeAgreement(name, own, most, seed)],
        );
      return {
        judge,
        all: measureOutcomeAgreement("people", verdicts, most, seed),
        sets: by(({ set }) => set),
        categories: by(({ category }) => category),
      };
    }),
  );
  const counts = { win: 0, tie: 0, lose: 0, undecided: 0 };
  for (const outcome of most.values()) counts[outcome]++;
  const kappa = kappaOfAll(people, clusterOf, seed);
  return {
    a,
    b,
    annotators: annotators.map(({ annotator, path }, i) => {
      const labels = current[i]!;
      const own = consistency(labels);
      return {
        annotator,
        path,
        labelled: people[i]!.size,
        skipped: labels.filter(({ label, repeat }) => label === "skip" && !repeat).length,
        winRate: toEstimateRecord(winRateByPeople([people[i]!], clusterOf)),
        consistency: toEstimateRecord(own),
        repeats: own.pairs,
      };
    }),
    pairs: most.size,
    majority: counts,
    winRate: toEstimateRecord(winRateByPeople(people, clusterOf)),
    kappa: { ...toEstimateRecord(kappa), pairs: kappa.pairs },
    betweenTwo: annotators.flatMap(({ annotator: one }, i) =>
      annotators.slice(i + 1).map(({ annotator: other }, j) => {
        const two = kappaOfTwo(people[i]!, people[i + 1 + j]!, clusterOf, seed);
        return { one, other, kappa: toEstimateRecord(two), pairs: two.pairs, agreed: two.agreed };
      }),
    ),
    judges,
    notes: [
      ...(stale > 0
        ? [
            `${formatNumbered(stale, "label is", "labels are")} left out: the arms have other answers to those prompts now`,
          ]
        : []),
      ...(current.flat().some(({ by }) => by === "contradiction")
        ? [
            "these pairs were chosen because the judge contradicts itself on them: it agrees less with people here than elsewhere, and the win rate is about such pairs alone",
          ]
        : []),
      ...(people.filter(({ size }) => size > 0).length === 1
        ? [
            "one person's labels: the win rate and its interval are about this person alone, and whether others would agree is not known; let a second one label with view --label ANOTHER-NAME",
          ]
        : []),
      ...(people.filter(({ size }) => size > 0).length === 2
        ? ["the win rate's interval is about people like these two: two tell little of how far people differ"]
        : []),
    ],
  };
}

/** The comparison to label: where several judges have compared the arms, the first one's answers. @throws RunError when it is not clear which, or there is none */
export async function findComparison(
  run: RunFolder,
  arms: readonly [a: string, b: string] | undefined,
): Promise<ComparisonSummary> {
  const all = Object.values((await readManifest(run))?.comparisons ?? {}).filter(
    ({ verdictsPath }) => verdictsPath !== undefined,
  );
  const exact = all.filter(({ a, b }) => a === arms?.[0] && b === arms[1]);
  const meant = exact.length > 0 ? exact : all.filter(({ a, b }) => !arms || (a === arms[1] && b === arms[0]));
  const names = [...new Set(all.map(({ a, b }) => `${a} ${b}`))];
  if (meant.length === 0)
    throw new RunError(
      all.length === 0
        ? `${run.folder}: expected compared answers to label, found none; compare two arms first: alpagasus compare A B --run ${shellWord(run.folder)}`
        : `--arms: expected arms that were compared (${names.join("; ")}), got ${arms!.join(" ")}`,
    );
  if (!arms && names.length > 1)
    throw new UsageError(
      `--arms: expected which arms to label, since the run has compared ${names.join("; ")}: --arms ${shellWord(names[0]!)}`,
    );
  return meant[0]!;
}

/** Changes when somebody labels something; "" where nobody has. */
export async function labelState(run: RunFolder): Promise<string> {
  const folder = run.labelsFolder("");
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const files = names.filter((name) => name.endsWith(".jsonl")).toSorted();
  const sizes = await Promise.all(
    files.map(async (name) => (await stat(join(folder, name)).catch(() => undefined))?.size),
  );
  return files.map((name, i) => `${name} ${sizes[i]}`).join("\n");
}

/** What people say of every comparison that somebody has labelled. */
export async function summariseAllLabels(run: RunFolder): Promise<LabelsSummary[]> {
  const compared = Object.values((await readManifest(run))?.comparisons ?? {}).filter(
    ({ verdictsPath }) => verdictsPath !== undefined,
  );
  const arms = new Map(compared.map(({ a, b }) => [JSON.stringify([a, b]), [a, b] as const]));
  const found: LabelsSummary[] = [];
  for (const [a, b] of arms.values())
    if (existsSync(run.labelsFolder(comparisonName(a, b, "people"))))
      try {
        found.push(await summariseLabels({ run: run.folder, arms: [a, b] }));
      } catch (error) {
        // nothing is labelled yet, or a file is damaged or gone: labels says so
        if (!(error instanceof AlpagasusError || (error instanceof Error && "code" in error))) throw error;
      }
  return found;
}

/** A comparison, and how far its judge agrees with people, where they have labelled its pairs. */
export function withPeople<Comparison extends ComparisonSummary>(
  people: readonly LabelsSummary[],
  comparison: Comparison,
): Comparison {
  const { a, b, judge, agreement } = comparison;
  const theirs = people
    .filter((one) => one.a === a && one.b === b)
    .flatMap(({ judges }) => judges.filter((one) => one.judge === judge).map(({ all }) => all));
  return { ...comparison, agreement: [...agreement, ...theirs] };
}

/** How far every judge of a run agrees with people, a figure for each comparison that they labelled. */
export function agreementsOf(people: readonly LabelsSummary[]): OutcomeAgreement[] {
  return people.flatMap(({ judges }) => judges.map(({ all }) => all));
}
