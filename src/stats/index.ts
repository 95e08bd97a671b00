/*
 * `alpagasus/stats`: the statistics behind verdicts and agreements, as pure functions.
 */
export {
  areaUnderCurve,
  calibrationError,
  measureAgreement,
  pearson,
  precisionAtTop,
  rank,
  spearman,
  type Agreement,
  type ThresholdAgreement,
} from "./agreement.ts";
export type { Estimate } from "./estimate.ts";
export { bootstrap, type BootstrapOptions } from "./bootstrap.ts";
export { bradleyTerry } from "./bradley-terry.ts";
export { fleissKappa } from "./fleiss-kappa.ts";
export { cohensKappa, weightedKappa } from "./kappa.ts";
export { itemDifference, type ItemDifference } from "./item-difference.ts";
export { lossDifference, type LossDifference } from "./loss-difference.ts";
export { lengthControlledWinRate, type LengthPair } from "./length-controlled.ts";
export {
  countOutcomes,
  outcomeOf,
  winningScore,
  type Outcome,
  type OutcomeCounts,
  type Preference,
} from "./outcomes.ts";
export {
  crossedMean,
  crossedRatio,
  type CrossedMeanOptions,
  type Sources,
  type TestedEstimate,
} from "./crossed-mean.ts";
export { promptsNeeded } from "./prompts-needed.ts";
export { isPossibleShare, shareDifference, type PublishedShare } from "./share-difference.ts";
export { signTest } from "./sign-test.ts";
export { histogram, type Bin, type ScoreCounts } from "./histogram.ts";
