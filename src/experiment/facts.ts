import type { ExperimentArm, ExperimentResult, MatchResult } from "../run/records/experiment.ts";

/** The figures of a finished experiment, run here or elsewhere. Money in US dollars. */
export interface ExperimentFacts {
  readonly name: string;
  readonly caveat?: string | undefined;
  readonly source?: string | undefined;
  /** Whether they are published ones, of an experiment that was run elsewhere. */
  readonly isPublished?: boolean | undefined;
  readonly arms: readonly ExperimentArm[];
  readonly matches: readonly MatchResult[];
  /** Comparisons that an earlier form of the recipe made: p-values are corrected for them too, so that leaving some out makes no other sure. */
  readonly dropped?: readonly Pick<MatchResult, "pooled" | "sets">[] | undefined;
  readonly losses?: ExperimentResult["losses"];
  readonly benchmarks?: ExperimentResult["benchmarks"];
  readonly contamination?: ExperimentResult["contamination"];
  readonly money: ExperimentResult["money"];
  /** How often each arm was trained; undefined when unknown. */
  readonly trainings?: number | undefined;
  /** By arm: how its rows were chosen, if known, such as `random` or `full`. */
  readonly methods: Readonly<Record<string, string>>;
}
