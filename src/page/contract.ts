/*
 * Over 300 lines: the types of everything that the page is given, in one place, since the server and the browser share them.
 */
import type { AgreementRecord, RateSummary } from "../run/records/rating.ts";
import type { ChatTurn } from "../dataset/conversation.ts";
import type { Ranking } from "../comparison/ranking.ts";
import type { TrustReport } from "../health/trust.ts";
import type { LabelsSummary } from "./people-labels.ts";
import type { ArmState } from "../run/records/arm.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";
import type { DatasetRecord } from "../run/records/dataset.ts";
import type { ExperimentResult } from "../run/records/experiment.ts";
import type { BenchmarkSummary } from "../run/records/benchmarks.ts";
import type { LossSummary } from "../run/records/losses.ts";
import type { Gate } from "../run/records/common.ts";
import type { SpentOnCalls } from "../run/spent.ts";
import type { Work } from "../run/work.ts";
import type { RatingState } from "../run/rating.ts";
import type { Outcome } from "../stats/outcomes.ts";
import type { Side, VerdictState } from "../comparison/verdict.ts";
import type { Bin } from "../stats/histogram.ts";

/*
 * The page's data. `report` embeds all of it in the HTML; `view` serves it piece by piece. This file has only types, because
 * the page imports it too. Lengths are in characters, shares 0 to 1, money in US dollars, times in milliseconds.
 */

/** All figures of a run: `report.json`. */
export interface RunReport {
  readonly version: 1;
  readonly alpagasus: string;
  /** The run's folder. */
  readonly run: string;
  /** The page's title; the run's folder if absent. */
  readonly title?: string | undefined;
  /** The command that showed or reported the run. */
  readonly command?: string | undefined;
  readonly madeAt: string;
  readonly head: Head;
  readonly dataset?: DatasetRecord | undefined;
  readonly scores?: ScoreReport | undefined;
  readonly arms: readonly ArmState[];
  /** Of each two of the run's scores, where it has several; empty until all rows are read. */
  readonly agreements: readonly ScoreAgreement[];
  /** Of each two arms; empty until all rows are read. */
  readonly overlaps: readonly ArmOverlap[];
  readonly losses: readonly LossSummary[];
  readonly benchmarks: readonly BenchmarkSummary[];
  /** The result, if the run is an experiment. */
  readonly experiment?: ExperimentResult | undefined;
  readonly comparisons: readonly ComparisonReport[];
  /** Where each two of three arms or more were compared. */
  readonly rankings: readonly Ranking[];
  /** What people's labels say of the comparisons that have some. */
  readonly people: readonly LabelsSummary[];
  readonly stages: readonly StageReport[];
  /** Cost of all the run's calls. Absent if no model was called; `paidUsd` is null if no price is known, and holds none of `unpricedCalls`. */
  readonly money?: Pick<SpentOnCalls, "paidUsd" | "perhapsPaidUsd" | "unpricedCalls"> | undefined;
  /** What could not be shown and why, such as missing or changed files. */
  readonly problems: readonly string[];
  /** Stages in progress. */
  readonly working: readonly Work[];
  /** How many of the rows can be searched so far. */
  readonly rows: {
    readonly read: number;
    readonly total: number;
    readonly isReady: boolean;
    readonly isReading: boolean;
    /** Changes when the rows change or more of them are read. */
    readonly revision: string;
  };
}

/** How far two scores agree, over the rows that have both. */
export interface ScoreAgreement extends Pick<AgreementRecord, "rows" | "spearman"> {
  readonly a: string;
  readonly b: string;
}

/** How many rows two arms share, of those that each has. */
export interface ArmOverlap {
  readonly a: string;
  readonly b: string;
  readonly shared: number;
  readonly ofA: number;
  readonly ofB: number;
}

/** The first lines of the page. */
export interface Head {
  /** What this run is, in one sentence. */
  readonly what: string;
  /** What was found, in one sentence; absent while nothing was. */
  readonly found?: string | undefined;
  /** "Should I trust this?", answered in one line; absent while nothing was found. */
  readonly trust?: TrustReport | undefined;
}

/** A judge's scores, summarised. */
export interface ScoreReport extends Pick<
  RateSummary,
  | "judge"
  | "scale"
  | "states"
  | "coverage"
  | "mean"
  | "histogram"
  | "notes"
  | "alarms"
  | "panel"
  | "escalation"
  | "checks"
> {
  readonly rows: number;
  /** The rubric and model settings, in words. */
  readonly question?: string | undefined;
  readonly gates: readonly Gate[];
  /** Whether rating is still in progress; all figures then cover the rows rated so far. */
  readonly isPartial: boolean;
  /** What each threshold would keep; absent until all rows are read. */
  readonly thresholds?: ThresholdTable | undefined;
  /** Other judges' scores of the same rows. */
  readonly references: readonly ReferenceReport[];
}

/** Row counts by score, so that what a threshold keeps is a sum. Entry i counts scores in [`edges[i]`, `edges[i + 1]`). */
export interface ThresholdTable {
  /** Ascending. */
  readonly edges: readonly number[];
  readonly rows: readonly number[];
  readonly promptCharacters: readonly number[];
  readonly outputCharacters: readonly number[];
  /** The largest categories; absent where the data has none. */
  readonly categories?: readonly {
    readonly category: string;
    /** Whether this entry is the sum of all other categories. */
    readonly isRest?: boolean | undefined;
    readonly total: number;
    readonly rows: readonly number[];
  }[];
  /** All rows, scored or not. */
  readonly total: { readonly rows: number; readonly promptCharacters: number; readonly outputCharacters: number };
  /** Time and cost of training on all rows, if the user gave them. */
  readonly fullMinutes?: number | undefined;
  readonly fullUsd?: number | undefined;
}

/** Another judge's scores, compared with the run's own. */
export interface ReferenceReport {
  readonly name: string;
  readonly scored: number;
  readonly mean: number | null;
  readonly histogram: readonly Bin[];
  readonly agreement: AgreementRecord;
  /** Row counts by the run's score (x) and this judge's score (y). */
  readonly grid: {
    readonly own: readonly Bin[];
    readonly reference: readonly Bin[];
    /** `counts[reference bin][own bin]` */
    readonly counts: readonly (readonly number[])[];
  };
}

export interface ComparisonReport extends ComparisonSummary {
  /** Its key in the manifest. */
  readonly key: string;
  /** The conclusion, in words. */
  readonly sentence: string;
  readonly trust: TrustReport;
  /** How many rows each arm was trained on, if known. */
  readonly sizes: { readonly a: number | undefined; readonly b: number | undefined };
  /** Whether the judge saw both answers at once, and so could be swayed by their order. */
  readonly seesOrder: boolean;
}

/** One stage that was run. */
export interface StageReport {
  readonly stage: "rate" | "embed" | "select" | "train" | "generate" | "evaluate" | "benchmark" | "compare";
  readonly name: string;
  readonly startedAt: string;
  readonly wallMs: number;
  readonly command?: string | undefined;
  readonly gates: readonly Gate[];
  /** Absent for stages that call no model; null if no price is known. */
  readonly paidUsd?: number | null | undefined;
  readonly perhapsPaidUsd?: number | undefined;
  readonly calls?: { readonly made: number; readonly stored: number; readonly failed: number } | undefined;
  readonly tokens?: { readonly input: number; readonly output: number } | undefined;
  readonly coverage: string;
  /** Seeds, hashes, settings: name and value. */
  readonly details: readonly (readonly [name: string, value: string])[];
}

// --- rows ---

export type RowSort = "index" | "score" | "length" | "disagreement";

/** Filters and order of a list of rows. */
export interface RowQuery {
  /** Words and `"quoted phrases"` that a row's text must all contain, or `#17` for row 17. */
  readonly search?: string | undefined;
  /** `unscored` means every state except `scored`. */
  readonly state?: RatingState | "unscored" | undefined;
  /** Range of scores: from `atLeast` (inclusive) to `below` (exclusive). */
  readonly atLeast?: number | undefined;
  readonly below?: number | undefined;
  readonly category?: string | undefined;
  /** Range of the output's length, both ends inclusive. */
  readonly shortest?: number | undefined;
  readonly longest?: number | undefined;
  /** Rows that this arm kept, or did not keep if `isKept` is false. */
  readonly arm?: string | undefined;
  readonly isKept?: boolean | undefined;
  /** Rows that the arm dropped for this reason, in place of `isKept`: `contaminated`. */
  readonly reason?: string | undefined;
  readonly sort?: RowSort | undefined;
  /** Index of the reference whose disagreement to sort by; 0 by default. */
  readonly reference?: number | undefined;
  readonly isDescending?: boolean | undefined;
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
}

/** A row in a list, with only the beginnings of its texts. */
export interface RowLine {
  readonly index: number;
  readonly id?: string | undefined;
  readonly state: RatingState;
  readonly score: number | null;
  /** Each reference's score; null if it has none. */
  readonly references: readonly (number | null)[];
  readonly category?: string | undefined;
  readonly outputLength: number;
  /** Distance between each reference's rank and the run's own, 0 to 1; null if either has no score. */
  readonly disagreements: readonly (number | null)[];
  /** For each arm, `kept` or the reason it dropped the row. Arms selected from other ratings are left out. */
  readonly fates: Readonly<Record<string, string>>;
  readonly instruction: string;
  readonly output: string;
}

export interface RowPage {
  readonly total: number;
  /** How many rows were searched: those read so far, or those embedded in a report. */
  readonly searched: number;
  readonly rows: readonly RowLine[];
}

/** A text that may have been cut to save space. */
export interface PageText {
  readonly text: string;
  /** How many characters were cut from its end. */
  readonly cut?: number | undefined;
}

/** A judge's reply. */
export interface ReplyReport {
  readonly reply: PageText | null;
  readonly finish?: string | undefined;
  readonly build?: string | undefined;
  readonly outputTokens?: number | undefined;
  readonly costUsd?: number | undefined;
  readonly call?: string | undefined;
}

/** One turn of a conversation. */
export interface TurnReport {
  readonly role: ChatTurn["role"];
  readonly text: PageText;
  readonly reasoning?: PageText | undefined;
  /** Calls of tools, each as its name and its arguments. */
  readonly calls?: readonly { readonly name: string; readonly given: PageText }[] | undefined;
}

export interface ConversationReport {
  /** The tools that were offered, as JSON. */
  readonly tools?: PageText | undefined;
  readonly turns: readonly TurnReport[];
  readonly answer: TurnReport;
}

/** A row with everything known about it. */
export interface RowDetail extends RowLine {
  readonly hash: string;
  /** Why there is no score. */
  readonly detail?: string | undefined;
  readonly instructionText: PageText;
  readonly inputText: PageText;
  readonly outputText: PageText;
  /** The turns, where the row is more than an instruction, an input and an output. */
  readonly conversation?: ConversationReport | undefined;
  /** How many turns in the middle of the conversation the judge was not shown. */
  readonly turnsLeftOut?: number | undefined;
  /** Parts of the rubric's own text that occur in the row. */
  readonly intrusions?: readonly string[] | undefined;
  readonly said?: ReplyReport | undefined;
}

// --- pairs ---

type PairSort = "disagreement" | "set" | "length";

export interface PairQuery {
  readonly comparison?: string | undefined;
  readonly search?: string | undefined;
  readonly set?: string | undefined;
  readonly category?: string | undefined;
  readonly outcome?: Outcome | undefined;
  /** Only pairs whose two orders name opposite winners, whose orders differ at all, or with an unread verdict. */
  readonly orders?: "flipped" | "differ" | "unread" | undefined;
  readonly sort?: PairSort | undefined;
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
}

export interface PairLine {
  readonly comparison: string;
  readonly set: string;
  readonly id: string;
  readonly category?: string | undefined;
  readonly outcome: Outcome;
  /** The judge's verdict in each order; `shownFirst` if it is known. */
  readonly orders: readonly {
    readonly said: Side | "draw" | Exclude<VerdictState, "judged">;
    readonly shownFirst?: Side | undefined;
  }[];
  readonly lengths?: readonly [number, number] | undefined;
  /** The prompt's beginning. */
  readonly instruction: string;
}

export interface PairPage {
  readonly total: number;
  readonly pairs: readonly PairLine[];
}

export interface PairDetail extends PairLine {
  readonly instructionText?: PageText | undefined;
  readonly inputText?: PageText | undefined;
  readonly answers?: readonly [PageText, PageText] | undefined;
  readonly verdicts: readonly VerdictReport[];
}

export interface VerdictReport extends ReplyReport {
  readonly shownFirst?: Side | undefined;
  readonly state: VerdictState;
  readonly winner?: Side | "draw" | undefined;
  readonly scores?: Readonly<Record<Side, number>> | undefined;
  readonly detail?: string | undefined;
}

// --- data in the HTML ---

/** The data embedded in a report. */
export interface EmbeddedReport {
  readonly kind: "report";
  readonly report: RunReport;
  readonly rows: readonly RowDetail[];
  readonly pairs: readonly PairDetail[];
  /** What was left out to save space. */
  readonly leftOut: LeftOut;
}

export interface LeftOut {
  readonly rows: number;
  readonly pairs: number;
  /** How many of these rows have no score. */
  readonly unscored: number;
  /** How many of these pairs are unread or have orders that differ. */
  readonly contradictory: number;
  /** How many texts were cut, and after how many characters. */
  readonly cutTexts: number;
  readonly textLimit: number;
}

/** The viewer's page, which fetches everything from its server. */
interface ServedPage {
  readonly kind: "viewer" | "labels"; // for an annotator, who sees pairs alone
}

export type PageData = EmbeddedReport | ServedPage;
