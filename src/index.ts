/*
 * The library: everything the command line does, as functions.
 */
export { openDataset, type Dataset, type OpenDatasetOptions } from "./dataset/open.ts";
export { hashExample, type Example, type ExampleFields, type Row } from "./dataset/example.ts";
export { readPrompts, type TestPrompt } from "./dataset/prompts.ts";
export { readPositions } from "./dataset/positions.ts";
export type { DatasetFile, Format } from "./dataset/source.ts";
export type { Shape } from "./dataset/shape.ts";

export type { Judge, Scale } from "./judge/judge.ts";
export { openJudge, type OpenJudgeOptions } from "./judge/open.ts";
export { createColumnJudge, createRecordedJudge, type RecordedOptions } from "./judge/recorded.ts";
export { createRunJudge } from "./judge/run.ts";
export { createStudentJudge } from "./judge/student.ts";

export { rate, type RateOptions } from "./stages/rate.ts";
export { select, selectMethods, type SelectMethod, type SelectOptions } from "./stages/select.ts";
export { distill, type DistillOptions, type DistillSummary } from "./stages/distill.ts";
export { status, type FileState, type RunStatus } from "./stages/status.ts";
export type { Progress, StageOptions } from "./stages/progress.ts";

export type { Rating, RatingState, ScoredRating, UnscoredRating } from "./run/rating.ts";
export { readRatings, type RatingLine } from "./run/ratings-file.ts";
export type { AgreementRecord, ArmSummary, Gate, Manifest, RateSummary, WhatIf } from "./run/manifest.ts";
export type { Decision, Reason, ReasonDetail } from "./selection/decision.ts";
export type { FullTraining } from "./selection/what-if.ts";
export type { HeldOut, StudentCard } from "./student/card.ts";
export { createPredictor, expectedScore, type StudentModel } from "./student/student.ts";
export { decodeStudent, encodeStudent, readStudent } from "./student/model-file.ts";

export {
  areaUnderCurve,
  calibrationError,
  measureAgreement,
  pearson,
  precisionAtTop,
  rank,
  spearman,
  type Agreement,
  type Estimate,
  type ThresholdAgreement,
} from "./stats/agreement.ts";
export { histogram, type Bin, type ScoreCounts } from "./stats/histogram.ts";
export { AlpagasusError, DataError, RunError, UsageError } from "./errors.ts";
export { version } from "./version.ts";
