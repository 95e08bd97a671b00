import type { AgreementRecord, RateSummary } from "../run/records/rating.ts";
import type { ArmState } from "../run/records/arm.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";
import type { DatasetRecord } from "../run/records/dataset.ts";
import type { ExperimentResult } from "../run/records/experiment.ts";
import type { Gate } from "../run/records/common.ts";
import type { Work } from "../run/work.ts";
import type { RatingState } from "../run/rating.ts";
import type { Outcome } from "../stats/outcomes.ts";
import type { Side, VerdictState } from "../comparison/verdict.ts";
import type { Bin } from "../stats/histogram.ts";

/*
 * What the page is given: by `report`, all of it inside the HTML; by `view`, piece by piece from the server. Only types:
 * the page is built from them too. Lengths are in characters, shares 0 to 1, money in US dollars, times in milliseconds.
 */

/** All figures of a run: `report.json`. */
export interface RunReport {
  readonly version: 1;
  readonly alpagasus: string;
  /** The run's folder. */
  readonly run: string;
  /** What the page is called; the run's folder when absent. */
  readonly title?: string;
  /** What the user typed to see it. */
  readonly command?: string;
  readonly madeAt: string;
  readonly dataset?: DatasetRecord;
  readonly scores?: ScoreReport;
  readonly arms: readonly ArmState[];
  /** What the experiment that the run is came to. */
  readonly experiment?: ExperimentResult;
  readonly comparisons: readonly ComparisonReport[];
  readonly stages: readonly StageReport[];
  /** What all commands of the run have cost; absent where no model was asked, null where no price is known. */
  readonly money?: { readonly paidUsd: number | null; readonly perhapsPaidUsd: number };
  /** What could not be shown, and why: files that are gone or changed. */
  readonly problems: readonly string[];
  /** What is at work in the run now. */
  readonly working: readonly Work[];
  /** How many of the rows can be searched by now. */
  readonly rows: {
    readonly read: number;
    readonly total: number;
    readonly isReady: boolean;
    readonly isReading: boolean;
    /** Another one when there are other rows, or more of them. */
    readonly revision: string;
  };
}

/** What a judge gave. */
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
  /** How a model was asked, in words. */
  readonly question?: string;
  readonly gates: readonly Gate[];
  /** Whether the rating is still going on: these are the rows so far. */
  readonly isPartial: boolean;
  /** What every threshold would keep; absent until all rows were read. */
  readonly thresholds?: ThresholdTable;
  /** Other judges' scores of the same rows. */
  readonly references: readonly ReferenceReport[];
}

/**
 * Rows by score, so that what any threshold keeps is a sum: entry i counts the rows with a score from `edges[i]` up to, and
 * without, `edges[i + 1]`.
 */
export interface ThresholdTable {
  /** Ascending. */
  readonly edges: readonly number[];
  readonly rows: readonly number[];
  readonly promptCharacters: readonly number[];
  readonly outputCharacters: readonly number[];
  /** The largest categories; absent where the data has none. */
  readonly categories?: readonly {
    readonly category: string;
    /** Whether this is all others together. */
    readonly isRest?: boolean;
    readonly total: number;
    readonly rows: readonly number[];
  }[];
  /** All rows, scored or not. */
  readonly total: { readonly rows: number; readonly promptCharacters: number; readonly outputCharacters: number };
  /** What training on all rows takes, where the user has told. */
  readonly fullMinutes?: number;
  readonly fullUsd?: number;
}

/** Another judge's scores beside the run's own. */
export interface ReferenceReport {
  readonly name: string;
  readonly scored: number;
  readonly mean: number | null;
  readonly histogram: readonly Bin[];
  readonly agreement: AgreementRecord;
  /** Rows by the run's score (across) and this judge's (up): bin i holds scores in [from, to). */
  readonly grid: {
    readonly own: readonly Bin[];
    readonly reference: readonly Bin[];
    /** `counts[reference bin][own bin]` */
    readonly counts: readonly (readonly number[])[];
  };
}

export interface ComparisonReport extends ComparisonSummary {
  /** Its name in the run. */
  readonly key: string;
  /** What it comes to, in words. */
  readonly sentence: string;
  /** Rows that the arms were trained on, where that is known. */
  readonly sizes: { readonly a?: number; readonly b?: number };
  /** Whether the judge saw both answers at once, and so could be swayed by their order. */
  readonly seesOrder: boolean;
}

/** One thing that was done to the run. */
export interface StageReport {
  readonly stage: "rate" | "select" | "train" | "generate" | "compare";
  readonly name: string;
  readonly startedAt: string;
  readonly wallMs: number;
  readonly command?: string;
  readonly gates: readonly Gate[];
  /** Absent for stages that ask no model; null where no price is known. */
  readonly paidUsd?: number | null;
  readonly perhapsPaidUsd?: number;
  readonly calls?: { readonly made: number; readonly stored: number; readonly failed: number };
  readonly tokens?: { readonly input: number; readonly output: number };
  readonly coverage: string;
  /** Seeds, hashes, settings: name and value. */
  readonly details: readonly (readonly [name: string, value: string])[];
}

// --- rows ---

export type RowSort = "index" | "score" | "length" | "disagreement";

/** Which rows, in which order. */
export interface RowQuery {
  /** Words, all of which a row's text must contain; `"a phrase"`; `#17` is row 17. */
  readonly search?: string;
  /** `unscored` is every state but scored. */
  readonly state?: RatingState | "unscored";
  /** Scores from here on, and below that. */
  readonly atLeast?: number;
  readonly below?: number;
  readonly category?: string;
  /** Output's length, from and to. */
  readonly shortest?: number;
  readonly longest?: number;
  /** Kept in this arm, or with `isKept` false not kept. */
  readonly arm?: string;
  readonly isKept?: boolean;
  readonly sort?: RowSort;
  /** Whose disagreement to sort by: a reference's place in the report; the first when left out. */
  readonly reference?: number;
  readonly isDescending?: boolean;
  readonly offset?: number;
  readonly limit?: number;
}

/** A row in a list: texts are their beginnings. */
export interface RowLine {
  readonly index: number;
  readonly id?: string;
  readonly state: RatingState;
  readonly score: number | null;
  /** Of each reference; null where it has none. */
  readonly references: readonly (number | null)[];
  readonly category?: string;
  readonly outputLength: number;
  /** How far each reference ranks it from the run's own judge, 0 to 1; null where one has no score. */
  readonly disagreements: readonly (number | null)[];
  /** By arm, why it kept the row or not: `kept` when it did. Arms of other ratings are not there. */
  readonly fates: Readonly<Record<string, string>>;
  readonly instruction: string;
  readonly output: string;
}

export interface RowPage {
  readonly total: number;
  /** How many rows of the run are searched by now. */
  readonly searched: number;
  readonly rows: readonly RowLine[];
}

/** A text that may have been cut for room. */
export interface PageText {
  readonly text: string;
  /** Characters that were left out at its end. */
  readonly cut?: number;
}

/** A judge's reply. */
export interface ReplyReport {
  readonly reply: PageText | null;
  readonly finish?: string;
  readonly build?: string;
  readonly outputTokens?: number;
  readonly costUsd?: number;
  readonly call?: string;
}

/** A row with all that is known of it. */
export interface RowDetail extends RowLine {
  readonly hash: string;
  /** Why there is no score. */
  readonly detail?: string;
  readonly instructionText: PageText;
  readonly inputText: PageText;
  readonly outputText: PageText;
  /** Parts of the rubric's own text that the row contains. */
  readonly intrusions?: readonly string[];
  readonly said?: ReplyReport;
}

// --- pairs ---

type PairSort = "disagreement" | "set" | "length";

export interface PairQuery {
  readonly comparison?: string;
  readonly search?: string;
  readonly set?: string;
  readonly category?: string;
  readonly outcome?: Outcome;
  /** Only pairs whose two orders contradict each other, or differ at all. */
  readonly orders?: "flipped" | "differ" | "unread";
  readonly sort?: PairSort;
  readonly offset?: number;
  readonly limit?: number;
}

export interface PairLine {
  readonly comparison: string;
  readonly set: string;
  readonly id: string;
  readonly category?: string;
  readonly outcome: Outcome;
  /** What the judge said in each order; `shownFirst` where it is known. */
  readonly orders: readonly {
    readonly said: Side | "draw" | Exclude<VerdictState, "judged">;
    readonly shownFirst?: Side;
  }[];
  readonly lengths?: readonly [number, number];
  /** The prompt's beginning. */
  readonly instruction: string;
}

export interface PairPage {
  readonly total: number;
  readonly pairs: readonly PairLine[];
}

export interface PairDetail extends PairLine {
  readonly instructionText?: PageText;
  readonly inputText?: PageText;
  readonly answers?: readonly [PageText, PageText];
  readonly verdicts: readonly VerdictReport[];
}

export interface VerdictReport extends ReplyReport {
  readonly shownFirst?: Side;
  readonly state: VerdictState;
  readonly winner?: Side | "draw";
  readonly scores?: Readonly<Record<Side, number>>;
  readonly detail?: string;
}

// --- what is inside the HTML ---

/** What a report carries. */
export interface EmbeddedReport {
  readonly kind: "report";
  readonly report: RunReport;
  readonly rows: readonly RowDetail[];
  readonly pairs: readonly PairDetail[];
  /** What was left out for room. */
  readonly leftOut: LeftOut;
}

export interface LeftOut {
  readonly rows: number;
  readonly pairs: number;
  /** Failed, refused or unread ones among them. */
  readonly unscored: number;
  readonly contradictory: number;
  /** Texts that were cut, and the characters they were cut at. */
  readonly cutTexts: number;
  readonly textLimit: number;
}

/** The page of the viewer: it asks its server for everything. */
interface ServedPage {
  readonly kind: "viewer";
}

export type PageData = EmbeddedReport | ServedPage;
