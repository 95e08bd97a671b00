import type {
  LeftOut,
  PairDetail,
  PairPage,
  PairQuery,
  RowDetail,
  RowPage,
  RowQuery,
  RunReport,
} from "../../src/page/contract.ts";

/** Where the page gets its data: from its own file or from the viewer's server. */
export interface Source {
  /** Calls `onReport` with the figures now and whenever they change, or `onProblem`. Returns a function that stops this. */
  follow(onReport: (report: RunReport) => void, onProblem: (problem: string) => void): () => void;
  rows(query: RowQuery): Promise<RowPage>;
  /** Undefined if there is no such row, or if a report does not contain it. */
  row(index: number): Promise<RowDetail | undefined>;
  pairs(query: PairQuery): Promise<PairPage>;
  pair(name: PairName): Promise<PairDetail | undefined>;
  /** What a report left out; undefined in the viewer, which has everything. */
  readonly leftOut?: LeftOut | undefined;
}

export interface PairName {
  readonly comparison: string;
  readonly set: string;
  readonly id: string;
}
