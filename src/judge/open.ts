import type { LanguageModelV4 } from "@ai-sdk/provider";
import { UsageError } from "../errors.ts";
import { isModelName, modelForms } from "../llm/model-name.ts";
import type { Judge, Scale } from "./judge.ts";
import type { LlmJudge } from "./llm.ts";
import { openAsker, type OpenAskerOptions } from "./open-asker.ts";
import type { PairJudge } from "./pair-judge.ts";
import type { LlmPairJudge } from "./pair-llm.ts";
import { createStudentPairJudge } from "./pair-student.ts";
import { createColumnJudge, createRecordedJudge } from "./recorded.ts";
import { createRunJudge } from "./run.ts";
import type { EscalateOptions } from "./escalate.ts";
import type { Combination } from "./panel.ts";
import { createStudentJudge, isStudentName, readStudentNamed } from "./student.ts";

const localForms = "student, student:FILE, recorded:FILE[#COLUMN], column:NAME or run:DIR";

/** How judges are named on the command line; a new kind is added here. */
const judgeForms = `${localForms.replace(" or ", ", ")}, ${modelForms}`;

export interface OpenJudgeOptions {
  /** Scale of recorded scores; the student has its own. */
  readonly scale?: Scale;
}

/**
 * The judge behind a name that needs no model to be asked.
 *
 * @throws UsageError when the name is of no known form, DataError when its file cannot be read
 */
export async function openJudge(name: string, { scale }: OpenJudgeOptions = {}): Promise<Judge> {
  if (isModelName(name))
    throw new UsageError(
      `expected ${localForms}, got the model ${JSON.stringify(name)}; let it rate in a run of its own (alpagasus rate DATA --judge … --run DIR) and name that run: run:DIR`,
    );
  const [, kind, rest] = /^([a-z]+)(?::(.*))?$/s.exec(name) ?? [];
  if (kind === "student") {
    if (scale) throw new UsageError("--scale: the student has a scale of its own; leave the option out");
    return createStudentJudge(rest);
  }
  const options = scale ? { scale } : {};
  if (kind === "recorded" && rest) return createRecordedJudge(rest, options);
  if (kind === "column" && rest) return createColumnJudge(rest, options);
  if (kind === "run" && rest) return createRunJudge(rest);
  throw new UsageError(`--judge: expected ${judgeForms}, got ${JSON.stringify(name)}`);
}

export interface OpenLlmJudgeOptions extends OpenAskerOptions {
  /** A shipped rubric's name, or a YAML file; AlpaGasus' accuracy when left out. */
  readonly rubric?: string;
  /** The score is the mean of what the judge could have written, by the probabilities of its tokens. */
  readonly logprobs?: boolean;
  /** The score is the mean of so many replies. */
  readonly samples?: number;
  /** A name under which everything is asked anew, whatever is stored. */
  readonly probe?: string;
}

/** A judge that asks a model, with its store open; `close` it when it is done. */
export type OpenLlmJudge = LlmJudge & { close(): void };

/** The same for pairs. */
export type OpenLlmPairJudge = LlmPairJudge & { close(): void };

/**
 * A judge that asks a model: one by name (`openai:gpt-5-mini`, `http://127.0.0.1:8000/v1#qwen3`), or any model of the AI
 * SDK. Nothing is asked before it rates.
 *
 * @throws UsageError when the name, the rubric's name or an option makes no sense, DataError when the rubric's file is wrong
 */
export async function openLlmJudge(
  model: string | LanguageModelV4,
  options: OpenLlmJudgeOptions,
): Promise<OpenLlmJudge> {
  const [{ createLlmJudge }, { openRubric }] = await Promise.all([
    import("./llm.ts"),
    import("../rubric/open-rubric.ts"),
  ]);
  const { rubric: name, logprobs, samples, probe, ...others } = options;
  const rubric = await openRubric(name);
  const means = {
    ...(logprobs && { logprobs }),
    ...(samples !== undefined && { samples }),
    ...(probe !== undefined && { probe }),
  };
  return openAsker(model, others, (chatModel, asking) => createLlmJudge(chatModel, { ...asking, ...means, rubric }));
}

export interface OpenRatingJudgeOptions extends Omit<OpenLlmJudgeOptions, "probe"> {
  /** Whether models are looked at before and after a long rating (see `createCheckedJudge`); not in batches. */
  readonly check?: boolean;
  /** Scale of recorded scores. */
  readonly scale?: Scale;
  /** What a model costs that the price list does not have, by its name. */
  readonly pricesOf?: (model: string) => OpenLlmJudgeOptions["price"] | undefined;
  /** How several judges' scores become one; their mean when left out. */
  readonly combine?: Combination;
  /** Map a panel's scores linearly onto the first judge's scale. */
  readonly rescale?: boolean;
  /** Another judge, whom the student asks where it is not sure. */
  readonly escalate?: EscalateOptions & { readonly to: string };
}

/** Whoever rates, with all that was opened for it. */
export interface OpenRatingJudge {
  readonly judge: Judge;
  /** Those that ask models. */
  readonly models: readonly OpenLlmJudge[];
  readonly close: () => void;
}

/**
 * Who rates, by name: one judge of any kind, several as a panel, or a student that asks another one where it is not sure.
 *
 * @throws UsageError when a name or an option makes no sense, DataError when a file is wrong
 */
export async function openRatingJudge(
  names: readonly string[],
  { scale, combine, rescale, escalate, pricesOf, check = true, ...settings }: OpenRatingJudgeOptions,
): Promise<OpenRatingJudge> {
  const models: OpenLlmJudge[] = [];
  const openOne = async (name: string): Promise<Judge> => {
    if (!isModelName(name)) return openJudge(name, scale && !isStudentName(name) ? { scale } : {});
    const price = pricesOf?.(name) ?? settings.price;
    const asking = { ...settings, ...(price && { price }) };
    const model = await openLlmJudge(name, asking);
    models.push(model);
    if (!check || asking.batch || asking.forPlan || model.rubric.rates !== "response") return model;
    const { createCheckedJudge, probeJudge } = await import("./checked.ts");
    return createCheckedJudge(
      model,
      async (probe, anchors) => {
        const prober = await openLlmJudge(name, { ...asking, probe, retryFailed: true }); // what was lost is asked again
        try {
          return await probeJudge(prober, anchors);
        } finally {
          prober.close();
        }
      },
      { askAgain: settings.retryFailed },
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
  if (more.length > 0 || !isStudentName(name))
    throw new UsageError(`--escalate: expected --judge student or student:FILE, got ${names.join(", ")}`);
  if (isStudentName(to)) throw new UsageError(`--to: expected a judge to ask, got the student ${JSON.stringify(to)}`);
  const { createEscalatingJudge } = await import("./escalate.ts");
  return createEscalatingJudge({ name, model: await readStudentNamed(name) }, await openOne(to), options);
}

/** The same for comparing answers; the rubric is Vicuna's when left out. */
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

/** A judge of answers behind a name that needs no model to be asked. @throws UsageError when the name is of no known form */
export async function openPairJudge(name: string): Promise<PairJudge> {
  const [, path] = /^student(?::(.+))?$/s.exec(name) ?? [];
  if (name === "student" || path !== undefined) return createStudentPairJudge(path);
  throw new UsageError(
    `--judge: expected ${modelForms.replace(" or ", ", ")}, student or student:FILE, got ${JSON.stringify(name)}`,
  );
}
