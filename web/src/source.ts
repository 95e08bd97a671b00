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

/** Where the page gets its data: out of its own file, or from the viewer's server. */
export interface Source {
  /** Calls back with the figures, and again whenever they change; or with what is wrong. */
  follow(onReport: (report: RunReport) => void, onProblem: (problem: string) => void): () => void;
  rows(query: RowQuery): Promise<RowPage>;
  /** Undefined for a row that is not there, or that a report does not carry. */
  row(index: number): Promise<RowDetail | undefined>;
  pairs(query: PairQuery): Promise<PairPage>;
  pair(name: PairName): Promise<PairDetail | undefined>;
  /** What a report left out; undefined in the viewer, which has everything. */
  readonly leftOut?: LeftOut;
}

export interface PairName {
  readonly comparison: string;
  readonly set: string;
  readonly id: string;
}
