import { statSync } from "node:fs";
import type { LanguageModelV4 } from "@ai-sdk/provider";
import { UsageError } from "../errors.ts";
import { isModelName, modelForms } from "../llm/model-name.ts";
import type { PlannedJudge } from "./asker.ts";
import type { Judge, Scale, Combination } from "./judge.ts";
import type { LlmJudge } from "./llm.ts";
import { openAsker, type OpenAskerOptions, type Opened } from "./open-asker.ts";
import type { PairJudge } from "./pair-judge.ts";
import type { LlmPairJudge } from "./pair-llm.ts";
import { createStudentPairJudge } from "./pair-student.ts";
import { createColumnJudge, createRecordedJudge } from "./recorded.ts";
import { createRunJudge } from "./run.ts";
import type { EscalateOptions } from "./escalate.ts";
import { readMeasureName, readServedMeasure } from "../likelihood/measure-name.ts";
import { isEmbeddedStudent, isStudentLmName, isStudentName, readVerifierName } from "../run/judge-kind.ts";
import { judgeForms, localForms, shownName } from "./judge-forms.ts";
import type { LikelihoodJudgeOptions } from "./likelihood.ts";
import { createStudentJudge, readStudentNamed, type StudentJudgeOptions } from "./student.ts";
import { checkCommand } from "./check-command.ts";

export interface OpenJudgeOptions {
  /** What named the judge, for messages. Default `--judge`. */
  readonly option?: string | undefined;
  /** Scale of recorded scores; the student has its own. */
  readonly scale?: Scale | undefined;
  /** For the embedded student: what it does about rows unlike those that it was trained on. */
  readonly unlike?: StudentJudgeOptions["unlike"];
  /** For judges that measure with a model on this machine. */
  readonly measuring?: LikelihoodJudgeOptions | undefined;
  /** Whether a reward model that fails its check rates nothing. Default true. */
  readonly check?: boolean | undefined;
  /** Take every column of numbers of a recorded file, as marks beside its score. */
  readonly isWhole?: boolean | undefined;
}

/**
 * Opens a judge that calls no model, by its name.
 *
 * @throws UsageError when the name has no known form, DataError when its file cannot be read
 */
export async function openJudge(
  name: string,
  { option = "--judge", scale, unlike, measuring, check, isWhole }: OpenJudgeOptions = {},
): Promise<Judge> {
  if (isModelName(name))
    throw new UsageError(
      `${option}: expected ${localForms}, got the model ${JSON.stringify(shownName(name))}; first rate the data with it (alpagasus rate DATA --judge … --run DIR), then use that run as the judge: run:DIR`,
    );
  if (unlike !== undefined && !isEmbeddedStudent(name))
    throw new UsageError(
      `--unlike: goes with --judge student or student-lm, not ${name}; what others were trained on is not known`,
    );
  const [, kind, rest] = /^([a-z-]+)(?::(.*))?$/s.exec(name) ?? [];
  if (kind === "student" || kind === "student-lm") {
    if (scale) throw new UsageError("--scale: the student has a scale of its own; leave the option out");
    if (kind === "student") return createStudentJudge(rest, { unlike });
    const { createStudentLmJudge } = await import("./student-lm.ts");
    return createStudentLmJudge(rest, { unlike, signal: measuring?.signal });
  }
  const measure = readMeasureName(name);
  if (measure && readServedMeasure(name))
    throw new UsageError(
      `${option}: expected a judge that asks no server, got ${JSON.stringify(shownName(name))}; first rate the data with it (alpagasus rate DATA --judge … --run DIR), then use that run as the judge: run:DIR`,
    );
  if (measure) {
    if (scale) throw new UsageError(`--scale: ${measure.kind} has a scale of its own; leave the option out`);
    if (measure.kind === "reward") {
      if (measuring?.template !== undefined)
        throw new UsageError("--template: a reward model has a chat template of its own; leave the option out");
      const { createRewardJudge } = await import("./reward.ts");
      return createRewardJudge(measure.model, { ...measuring, check });
    }
    const { createLikelihoodJudge } = await import("./likelihood.ts");
    return createLikelihoodJudge(measure.kind, measure.model, measuring);
  }
  const verifier = readVerifierName(name);
  if (verifier) {
    if (scale) throw new UsageError("--scale: right is 1 and wrong is 0; leave the option out");
    const { createVerifier } = await import("./verify.ts");
    return createVerifier(verifier, measuring);
  }
  if (measuring?.template !== undefined || measuring?.maxLength !== undefined)
    throw new UsageError(
      `--template, --max-length: go with perplexity:, ifd: and fit:, and --max-length with reward:, not ${name}; leave them out`,
    );
  if (kind === "recorded" && rest) return createRecordedJudge(rest, { ...(scale && { scale }), isWhole });
  if (kind === "column" && rest) return createColumnJudge(rest, scale ? { scale } : {});
  if (kind === "run" && rest) return createRunJudge(rest);
  const file = statSync(name, { throwIfNoEntry: false });
  const meant = file && `; did you mean ${file.isDirectory() ? "run" : "recorded"}:${name}?`;
  throw new UsageError(
    `${option}: expected ${option === "--judge" ? judgeForms : localForms}, got ${JSON.stringify(shownName(name))}${meant ?? ""}`,
  );
}

export interface OpenLlmJudgeOptions extends OpenAskerOptions {
  /** A shipped rubric's name, or a YAML file. Default: AlpaGasus' accuracy rubric. */
  readonly rubric?: string | undefined;
  /** The score is the mean of the scores the judge could have written, weighted by token probabilities. */
  readonly logprobs?: boolean | undefined;
  /** How many replies to draw per row; the score is their mean. */
  readonly samples?: number | undefined;
  /** A name that becomes part of every request's key, so that only replies stored under this name are reused. */
  readonly probe?: string | undefined;
  /** The most tokens of a prompt, in place of the rubric's limit: turns in the middle of a longer conversation are left out. */
  readonly maxPromptTokens?: number | undefined;
}

/** An LLM judge with its call store open. Call `close` when it is done. */
export type OpenLlmJudge = LlmJudge & Opened;

/** A judge that calls a model, with its call store open. Call `close` when it is done. */
export type OpenPlannedJudge = PlannedJudge & Opened;

/** An LLM pair judge with its call store open. Call `close` when it is done. */
export type OpenLlmPairJudge = LlmPairJudge & Opened;

/**
 * Opens an LLM judge on a model: by name (`openai:gpt-5-mini`, `http://127.0.0.1:8000/v1#qwen3`), or any model of the AI
 * SDK. Opening makes no calls.
 *
 * @throws UsageError when the name, the rubric's name or an option is invalid, DataError when the rubric's file is wrong
 */
export async function openLlmJudge(
  model: string | LanguageModelV4,
  options: OpenLlmJudgeOptions,
): Promise<OpenLlmJudge> {
  const [{ createLlmJudge }, { openRubric }, { withPromptLimit }] = await Promise.all([
    import("./llm.ts"),
    import("../rubric/open-rubric.ts"),
    import("../rubric/rubric.ts"),
  ]);
  const { rubric: name, logprobs, samples, probe, maxPromptTokens, ...others } = options;
  const opened = await openRubric(name);
  const rubric = maxPromptTokens === undefined ? opened : withPromptLimit(opened, maxPromptTokens);
  const means = {
    logprobs,
    samples,
    probe,
  };
  return openAsker(model, others, (chatModel, asking) => createLlmJudge(chatModel, { ...asking, ...means, rubric }));
}

export interface OpenRatingJudgeOptions extends Omit<OpenLlmJudgeOptions, "probe"> {
  /** Check models before and after a long rating (see `createCheckedJudge`). Default true; never in batches. */
  readonly check?: boolean | undefined;
  /** Scale of recorded scores. */
  readonly scale?: Scale | undefined;
  /** For the embedded student: what it does about rows unlike those that it was trained on. */
  readonly unlike?: StudentJudgeOptions["unlike"];
  /** For judges that measure with a model on this machine. */
  readonly measuring?: LikelihoodJudgeOptions | undefined;
  /** Take every column of numbers of a recorded file, as marks beside its score. */
  readonly isWhole?: boolean | undefined;
  /** Prices by model name, for models that are not in the price list. */
  readonly pricesOf?: (model: string) => OpenLlmJudgeOptions["price"] | undefined;
  /** How a panel's scores are combined. Default: their mean. */
  readonly combine?: Combination | undefined;
  /** Map a panel's scores linearly onto the first judge's scale. */
  readonly rescale?: boolean | undefined;
  /** Another judge, which the student asks to rate the rows it is unsure of. */
  readonly escalate?: (EscalateOptions & { readonly to: string }) | undefined;
}

/** The judge of a rating, with the models opened for it. */
export interface OpenRatingJudge {
  readonly judge: Judge;
  /** The judges of it that call a model. */
  readonly models: readonly OpenPlannedJudge[];
  readonly close: () => void;
}

/**
 * Opens the judge of a rating by name: one of any kind, several as a panel, or a student that asks another when unsure.
 *
 * @throws UsageError when a name or an option is invalid, DataError when a file is wrong
 */
export async function openRatingJudge(
  names: readonly string[],
  {
    scale,
    unlike,
    measuring,
    isWhole,
    combine,
    rescale,
    escalate,
    pricesOf,
    check = true,
    ...settings
  }: OpenRatingJudgeOptions,
): Promise<OpenRatingJudge> {
  if (unlike !== undefined && (names.length > 1 || !isEmbeddedStudent(names[0] ?? "") || escalate))
    throw new UsageError("--unlike: goes with --judge student alone; leave it out");
  const models: OpenPlannedJudge[] = [];
  const openOne = async (name: string): Promise<Judge> => {
    const served = readServedMeasure(name);
    if (served) {
      if (scale) throw new UsageError(`--scale: ${served.kind} has a scale of its own; leave the option out`);
      const price = pricesOf?.(served.model) ?? settings.price;
      const { openServedMeasure } = await import("./served-measure.ts");
      const opened = await openServedMeasure(served, { ...settings, price, measuring, check });
      models.push(opened);
      return opened;
    }
    if (!isModelName(name))
      return openJudge(name, { unlike, scale: isStudentName(name) ? undefined : scale, measuring, check, isWhole });
    const price = pricesOf?.(name) ?? settings.price;
    const asking = { ...settings, price };
    const model = await openLlmJudge(name, asking);
    models.push(model);
    if (asking.batch || asking.forPlan || model.rubric.rates !== "response") return model;
    const { createCheckedJudge, probeJudge } = await import("./checked.ts");
    return createCheckedJudge(
      model,
      async (probe, anchors) => {
        const prober = await openLlmJudge(name, { ...asking, probe, retryFailed: check }); // repeats failed probe calls
        try {
          return await probeJudge(prober, anchors);
        } finally {
          prober.close();
        }
      },
      { askAgain: settings.retryFailed, isOff: !check, checkCommand: checkCommand(name, asking) },
    );
  };
  const close = () => {
    for (const model of models) model.close();
  };
  try {
    const judge = escalate
      ? await openEscalating(names, escalate, openOne)
      : await openPanel(names, { combine, rescale }, openOne);
    return { judge, models, close };
  } catch (error) {
    close();
    throw error;
  }
}

async function openPanel(
  names: readonly string[],
  { combine, rescale = false }: { readonly combine: Combination | undefined; readonly rescale: boolean | undefined },
  openOne: (name: string) => Promise<Judge>,
): Promise<Judge> {
  if (names.length === 1 && (combine !== undefined || rescale))
    throw new UsageError(
      `${rescale ? "--rescale" : "--combine"}: expected several judges, got one; name more with --judge`,
    );
  const judges: Judge[] = [];
  for (const name of names) judges.push(await openOne(name));
  if (judges.length === 1) return judges[0]!;
  const { createPanelJudge } = await import("./panel.ts");
  return createPanelJudge(judges, combine, { rescale });
}

async function openEscalating(
  names: readonly string[],
  { to, ...options }: NonNullable<OpenRatingJudgeOptions["escalate"]>,
  openOne: (name: string) => Promise<Judge>,
): Promise<Judge> {
  const [name = "", ...more] = names;
  if (more.length > 0 || !isStudentName(name) || isStudentLmName(name))
    throw new UsageError(`--escalate: expected --judge student or student:FILE, got ${names.join(", ")}`);
  if (isStudentName(to)) throw new UsageError(`--to: expected a judge to ask, got the student ${JSON.stringify(to)}`);
  const { createEscalatingJudge } = await import("./escalate.ts");
  return createEscalatingJudge({ name, model: await readStudentNamed(name) }, await openOne(to), options);
}

/** Opens an LLM judge that compares answers. Default rubric: Vicuna's. */
export async function openLlmPairJudge(
  model: string | LanguageModelV4,
  options: Omit<OpenLlmJudgeOptions, "logprobs" | "samples" | "probe">,
): Promise<OpenLlmPairJudge> {
  const [{ createLlmPairJudge }, { openPairRubric }] = await Promise.all([
    import("./pair-llm.ts"),
    import("../rubric/open-rubric.ts"),
  ]);
  const { rubric: name, ...others } = options;
  const rubric = await openPairRubric(name);
  return openAsker(model, others, (chatModel, asking) => createLlmPairJudge(chatModel, { ...asking, rubric }));
}

/** Opens a pair judge that calls no model, by its name. @throws UsageError when the name has no known form */
export async function openPairJudge(name: string): Promise<PairJudge> {
  const [, path] = /^student(?::(.+))?$/s.exec(name) ?? [];
  if (name === "student" || path !== undefined) return createStudentPairJudge(path);
  throw new UsageError(
    `--judge: expected ${modelForms.replace(" or ", ", ")}, student or student:FILE, got ${JSON.stringify(shownName(name))}`,
  );
}
