/*
 * The library: everything the command line does, as functions. `alpagasus/llm` has the engine that makes calls, `alpagasus/stats` the
 * statistics.
 */
export type { Dataset, PooledSource } from "./dataset/dataset.ts";
export { openDataset, type OpenDatasetOptions } from "./dataset/open.ts";
export { hashExample, type Example, type ExampleFields, type Row } from "./dataset/example.ts";
export { readPrompts, type TestPrompt } from "./dataset/prompts.ts";
export { readPositions } from "./dataset/positions.ts";
export type { DatasetFile, Format } from "./dataset/source.ts";
export type { Shape } from "./dataset/shape.ts";

export type { Escalating, Judge, JudgeAbilities, Panel, Rater, Scale } from "./judge/judge.ts";
export {
  openJudge,
  openLlmJudge,
  openLlmPairJudge,
  openPairJudge,
  type OpenJudgeOptions,
  type OpenLlmJudge,
  type OpenLlmJudgeOptions,
  type OpenLlmPairJudge,
} from "./judge/open.ts";
export type { LlmJudge } from "./judge/llm.ts";
export type { JudgeAccounts } from "./judge/judge.ts";
export type { PairJudge } from "./judge/pair-judge.ts";
export { createColumnJudge, createRecordedJudge, type RecordedOptions } from "./judge/recorded.ts";
export { createRunJudge } from "./judge/run.ts";
export { createLikelihoodJudge, type LikelihoodJudgeOptions } from "./judge/likelihood.ts";
export { createRewardJudge, type RewardJudgeOptions } from "./judge/reward.ts";
export { createVerifier } from "./judge/verify.ts";
export type { Verifier } from "./run/judge-kind.ts";
export type { LikelihoodKind, MeasureTemplate } from "./likelihood/measure-name.ts";
export {
  openMeasurer,
  type LikelihoodOf,
  type MeasureOptions,
  type Measurer,
  type RowParts,
} from "./likelihood/measure.ts";
export type { Likelihood, LikelihoodPart, TokenSum } from "./likelihood/likelihood-store.ts";
export { createStudentJudge } from "./judge/student.ts";
export { openRatingJudge, type OpenRatingJudge, type OpenRatingJudgeOptions } from "./judge/open.ts";
export { createPanelJudge, type PanelJudge } from "./judge/panel.ts";
export { createEscalatingJudge, type EscalateOptions, type EscalatingJudge } from "./judge/escalate.ts";
export type { Escalation } from "./judge/judge.ts";
export { createCheckedJudge, JudgeCheckError, probeJudge, type Probe } from "./judge/checked.ts";
export { anchorLanguages, type AnchorLanguage } from "./health/anchor-languages.ts";
export { readAnchors, type Anchor, type AnchorKind } from "./health/anchors.ts";
export type { HealthCheck } from "./health/figures.ts";
export { checkJudge, type CheckJudgeOptions, type JudgeHealth } from "./stages/check-judge.ts";
export {
  cancelBatches,
  forgetBatches,
  listBatches,
  type BatchesOptions,
  type BatchState,
  type BatchStatus,
  type CancelledBatch,
} from "./stages/batches.ts";

export { rate, type RateOptions } from "./stages/rate.ts";
export {
  planAnswers,
  planComparison,
  planRating,
  type CallPlan,
  type PlanAnswersOptions,
  type PlanComparisonOptions,
  type PlanRatingOptions,
} from "./stages/plan-calls.ts";
export {
  replies,
  verdictReplies,
  type RatedReply,
  type RepliesOptions,
  type VerdictReply,
  type VerdictRepliesOptions,
} from "./stages/replies.ts";
export { armName, compare, keepReviews, recount, type Arm, type CompareOptions } from "./stages/compare.ts";
export { rankArms } from "./stages/rank-arms.ts";
export type { RankedArm } from "./comparison/ranking.ts";
export { select } from "./stages/select.ts";
export { selectMethods, type SelectMethod, type SelectOptions } from "./stages/select/plan.ts";
export { planTrain, train } from "./stages/train.ts";
export type { PlannedTraining, PlanTrainOptions, TrainOptions } from "./stages/prepare-training.ts";
export { merge, type MergeOptions, type MergeSummary } from "./stages/merge.ts";
export type { Shard } from "./judge/shard.ts";
export { embed, type EmbedOptions } from "./stages/embed.ts";
export { openEmbedder, type OpenEmbedderOptions } from "./embedding/open.ts";
export type { Embedder } from "./embedding/embedder.ts";
export type { Embedded, LocalEmbedder } from "./vectors/embedded.ts";
export type { EmbeddedText, EmbeddingSummary } from "./run/records/embedding.ts";
export { generate, type GenerateOptions } from "./stages/generate.ts";
export { serve, type ServeModelOptions, type Serving } from "./stages/serve.ts";
export type { RayServing } from "./cluster/serve.ts";
export { planPush, push, type PushOptions, type PushPlan, type PushSummary } from "./stages/push.ts";
export { evaluateLoss, type EvaluateOptions } from "./stages/evaluate.ts";
export type { ModelGroup } from "./stages/model-groups.ts";
export { benchmark, type BenchmarkOptions } from "./stages/benchmark.ts";
export { paperTasks, readTasks, type BenchmarkTask } from "./benchmark/tasks.ts";
export type { BenchmarkDifference, BenchmarkSummary, ModelBenchmark } from "./run/records/benchmarks.ts";
export type { LossDifference, LossSummary, ModelLoss } from "./run/records/losses.ts";
export { openAnswerer, type OpenAnswerer, type OpenAnswererOptions } from "./generation/open-answerer.ts";
export type { Answerer, AnsweredPrompt, AnswerSampling, AnswerState } from "./generation/answerer.ts";
export { listTestSets, openTestSets } from "./generation/test-sets.ts";
export { listTrainingRecipes, openTrainingRecipe, parseTrainingRecipe, type TrainingRecipe } from "./trainer/recipe.ts";
export { planTraining, type TrainingOverrides, type TrainingPlan } from "./trainer/plan-training.ts";
export type { TrainingEstimate } from "./trainer/estimate.ts";
export { listExperiments, openExperiment, parseExperiment, type ExperimentRecipe } from "./experiment/recipe.ts";
export {
  planExperiment,
  runExperiment,
  type ExperimentEnd,
  type ExperimentPlan,
  type RunExperimentOptions,
} from "./stages/experiment/run.ts";
export type { TaskResult } from "./experiment/schedule.ts";
export type { ExperimentStage, TaskState } from "./experiment/task.ts";
export { report, reportFigures, type FiguresText, type ReportOptions, type ReportSummary } from "./stages/report.ts";
export { reportFormats, type ReportFormat } from "./stages/report-formats.ts";
export { listFigures, type Figure } from "./page/figures.ts";
export { view, type Viewer, type ViewOptions } from "./stages/view.ts";
export type { LeftOut, RunReport } from "./page/contract.ts";
export { distill, type DistillOptions, type DistillSummary } from "./stages/distill.ts";
export { status, type RunStatus } from "./stages/status.ts";
export type { Progress, StageOptions } from "./stages/progress.ts";

export { readAnswers, type Answer, type Answers } from "./comparison/answers.ts";
export { pairAnswers, type PairedAnswers } from "./comparison/pair-answers.ts";
export { analyse } from "./comparison/analyse.ts";
export type { ComparisonResult } from "./comparison/comparison-result.ts";
export { readPeople } from "./comparison/labels.ts";
export { summariseLabels, type LabelsOptions, type LabelsSummary } from "./page/people-labels.ts";
export { viewLabels, type LabelViewer } from "./stages/view.ts";
export type { LabelOptions } from "./stages/label.ts";
export type { LabelSampling } from "./comparison/label-sample.ts";
export { readReviews, type ReadReviewsOptions, type Reviews } from "./comparison/reviews.ts";
export {
  outcomeOfOrders,
  type AnswerPair,
  type PairVerdict,
  type Side,
  type Verdict,
  type VerdictState,
} from "./comparison/verdict.ts";
export {
  listPairRubrics,
  listRubrics,
  openPairRubric,
  openRubric,
  parsePairRubric,
  parseRubric,
} from "./rubric/open-rubric.ts";
export { createRenderer, type RenderedPrompt } from "./rubric/render.ts";
export { readScore } from "./rubric/read-score.ts";
export { readExpectedScore } from "./rubric/expected-score.ts";
export { readVerdict, type ReadVerdict } from "./rubric/read-verdict.ts";
export type { PairRubric, Rubric } from "./rubric/rubric.ts";

export type { Rating, RatingState, ScoredRating, UnscoredRating } from "./run/rating.ts";
export { readRatings, type RatingLine } from "./run/ratings-file.ts";
export type { AgreementRecord, RateSummary } from "./run/records/rating.ts";
export type { AnsweredSet, AnswersSummary } from "./run/records/answers.ts";
export type { ArmState, ArmSummary, FileState, WatchedWord, WhatIf } from "./run/records/arm.ts";
export type { CallsRecord, Gate, Question } from "./run/records/common.ts";
export type { ComparisonRecord, ComparisonSummary, OutcomeAgreement } from "./run/records/comparison.ts";
export type { ExperimentResult } from "./run/records/experiment.ts";
export type { Manifest } from "./run/manifest.ts";
export type { TrainSummary } from "./run/records/training.ts";
export type { Decision, Reason, ReasonDetail } from "./selection/decision.ts";
export type { FullTraining } from "./selection/what-if.ts";
export type { HeldOut, StudentCard } from "./student/card.ts";
export { createPredictor, expectedScore, type StudentModel } from "./student/student.ts";
export { decodeStudent, encodeStudent, readStudent } from "./student/model-file.ts";

export { AlpagasusError, DataError, PythonError, RunError, UsageError } from "./errors.ts";
export { version } from "./version.ts";
export { curateScores, type CuratedScores } from "./curation/curate.ts";
export { twoNearest, type Points } from "./curation/neighbours.ts";
export { estimateRater, posterior, type RaterModel } from "./curation/transition.ts";
