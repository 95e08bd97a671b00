/*
 * `alpagasus/llm`: calls to models, each paid once, none over the budget, none lost. It knows nothing of ratings.
 */
export { BatchAsker, type BatchAskerOptions, type BatchClock, type BatchProgress } from "./batches/batch-asker.ts";
export { CallStore } from "./call-store.ts";
export type { PastUse, Purse, StoredCall } from "./stored-call.ts";
export type { CallsReport, StopReason } from "./call-tally.ts";
export { Engine, type EngineOptions } from "./engine.ts";
export type { Limits } from "./rate-limiter.ts";
export { modelOf, type ChatModel, type ModelBatches, type OpenModelOptions } from "./chat-model.ts";
export { openModel } from "./open-model.ts";
export { findPrice, flatPrice, type Price } from "./price.ts";
export type { CallOutcome, Finish, TokenLogprob, Usage } from "./reply.ts";
export {
  requestKey,
  type Message,
  type ModelRequest,
  type ReasoningEffort,
  type ReplySchema,
  type Sampling,
} from "./request.ts";
