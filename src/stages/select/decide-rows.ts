import type { RatedExample } from "../../dataset/rated-rows.ts";
import type { Decision, Reason, ReasonDetail } from "../../selection/decision.ts";
import { ArmTally, type FullTraining, WhatIfTable } from "../../selection/what-if.ts";
import { type FateOf, type FateTable, openFates, reasonsOfNoCandidate } from "./fates.ts";

/** What was decided about a row. */
export interface Decided {
  readonly isKept: boolean;
  /** Whether a control of the arm may draw it. */
  readonly isCandidate: boolean;
  /** The decision as a line of `ARM.decisions.jsonl`, without its line feed. */
  readonly line: string;
}

/** Decides row by row, and counts what it decided. Several may share the rows; `add` joins their counts. */
export class RowDecider {
  readonly #fateOf: FateOf;
  readonly #cannotKeep: ReadonlySet<Reason>;
  readonly whatIf: WhatIfTable;
  readonly armTally = new ArmTally();
  readonly reasons: Record<string, number> = {};
  kept = 0;
  total = 0;
  scored = 0;
  /** The lowest score that was kept; infinite when none was. */
  cut = Infinity;

  constructor(table: FateTable, full?: FullTraining) {
    this.#fateOf = openFates(table);
    this.#cannotKeep = reasonsOfNoCandidate(table.plan.method);
    this.whatIf = new WhatIfTable(full);
  }

  decide(row: RatedExample): Decided {
    const { example, rating } = row;
    const { reason, detail } = this.#fateOf(row);
    const score = rating.state === "scored" ? rating.score : undefined;
    const isKept = reason === "kept";
    this.total++;
    this.reasons[reason] = (this.reasons[reason] ?? 0) + 1;
    this.whatIf.add(example, score);
    if (score !== undefined) this.scored++;
    if (isKept) {
      this.kept++;
      if (score !== undefined && score < this.cut) this.cut = score;
      this.armTally.add(example);
    }
    const line = isPlain(row, detail) ? plainLine(row, reason) : JSON.stringify(describe(row, reason, detail));
    return { isKept, isCandidate: !this.#cannotKeep.has(reason), line };
  }

  /** The counts, as data that a thread can hand over. */
  counts(): Counts {
    const { kept, total, scored, cut, reasons } = this;
    return { kept, total, scored, cut, reasons, whatIf: this.whatIf.counts(), armTally: this.armTally.counts() };
  }

  add({ kept, total, scored, cut, reasons, whatIf, armTally }: Counts): void {
    this.kept += kept;
    this.total += total;
    this.scored += scored;
    this.cut = Math.min(this.cut, cut);
    for (const [reason, rows] of Object.entries(reasons)) this.reasons[reason] = (this.reasons[reason] ?? 0) + rows;
    this.whatIf.addCounts(whatIf);
    this.armTally.addCounts(armTally);
  }
}

export interface Counts {
  readonly kept: number;
  readonly total: number;
  readonly scored: number;
  readonly cut: number;
  readonly reasons: Readonly<Record<string, number>>;
  readonly whatIf: ReturnType<WhatIfTable["counts"]>;
  readonly armTally: ReturnType<ArmTally["counts"]>;
}

function isPlain({ rating, own = rating }: RatedExample, detail: ReasonDetail | undefined): boolean {
  return detail === undefined && own === rating;
}

/** The decision about most rows, as `JSON.stringify` writes it. */
function plainLine({ example: { index, id }, rating }: RatedExample, reason: Reason): string {
  const name = id === undefined ? "" : `,"id":${JSON.stringify(id)}`;
  const end = rating.state === "scored" ? `"score":${rating.score}` : `"state":"${rating.state}"`;
  return `{"index":${index}${name},"kept":${reason === "kept"},"reason":"${reason}",${end}}`;
}

function describe(
  { example, rating, own = rating }: RatedExample,
  reason: Reason,
  detail: ReasonDetail | undefined,
): Decision {
  const { index, id } = example;
  const isScored = rating.state === "scored";
  const decision = {
    index,
    id,
    kept: reason === "kept",
    reason,
    score: isScored ? rating.score : undefined,
    state: own.state === "scored" ? undefined : own.state,
  };
  if (own !== rating && rating.state === "pending") return { ...decision, ...detail, lacks: rating.detail };
  return detail ? { ...decision, ...detail } : decision;
}
