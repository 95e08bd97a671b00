/** What an annotator sees: a pair without names, or that all is done. */
export interface LabelState {
  readonly annotator: string;
  /** Pairs that are labelled or skipped, of all that are shown. */
  readonly done: number;
  readonly total: number;
  readonly canUndo: boolean;
  /** Names the last label, which can be taken back. */
  readonly last?: string | undefined;
  readonly pair?:
    | {
        /** Names the pair when it is labelled; it tells nothing of the arms. */
        readonly key: string;
        readonly instruction: string;
        readonly left: string;
        readonly right: string;
        /** What was said before, on each side, for a turn after the first. */
        readonly before?: { readonly left: string; readonly right: string } | undefined;
      }
    | undefined;
}
