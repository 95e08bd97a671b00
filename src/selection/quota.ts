/** How many rows of each value of a column are kept, or which share of them. */
export interface Quota {
  readonly column: string;
  readonly keep: ReadonlyMap<string, number | { readonly share: number }>;
}
