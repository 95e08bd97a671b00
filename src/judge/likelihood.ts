import type { RayServing } from "../cluster/serve.ts";
import type { Example } from "../dataset/example.ts";
import { formatCount, formatNumbered } from "../format.ts";
import type { Likelihood, TokenSum } from "../likelihood/likelihood-store.ts";
import { defaultMaxLength, openMeasurer, type LikelihoodOf } from "../likelihood/measure.ts";
import { templateFile, toParts } from "../likelihood/row-parts.ts";
import type { LikelihoodKind, MeasureTemplate } from "../likelihood/measure-name.ts";
import type { Rating } from "../run/rating.ts";
import { mapInBlocks } from "../in-blocks.ts";
import type { Judge } from "./judge.ts";

/*
 * Judges that need no opinion: how likely a language model on this machine finds a row's answer.
 *
 * - `perplexity`: exp of the mean negative log-probability of the answer's tokens, given the prompt. Low where the model expects it.
 * - `ifd`: instruction-following difficulty (arXiv 2308.12032, 2402.00530): that perplexity divided by the answer's perplexity without
 *   the prompt. High where the prompt helps little. At 1 and over it does not help at all; as in the published selection, such rows
 *   are left out.
 * - `fit`: the geometric mean of the probabilities of the answer's tokens, given the prompt (GRAPE, arXiv 2502.04194, chooses among
 *   answers by it). It is 1 / perplexity: high where the answer is what the model itself would say.
 */

interface MeasureSettings {
  /**
   * `plain` (the default): instruction and input, each with a line feed, as published for IFD with small models. `alpaca`: the paper's
   * prompt. `chat`: the model's own chat template.
   */
  readonly template?: MeasureTemplate | undefined;
  /** The most tokens of a row, prompt and answer together (1,024, or the model's own limit). */
  readonly maxLength?: number | undefined;
}

export interface LikelihoodJudgeOptions extends MeasureSettings {
  readonly signal?: AbortSignal | undefined;
  /** The file that keeps what was measured. */
  readonly store?: string | undefined;
  /** Measure on a Ray cluster. */
  readonly ray?: RayServing | undefined;
}

/** A judge that measures with a model on this machine: a folder, an id on the Hub, or smollm2. Opening it loads nothing. */
export function createLikelihoodJudge(
  kind: LikelihoodKind,
  model: string,
  options: LikelihoodJudgeOptions = {},
): Judge {
  const { template = "plain", maxLength = defaultMaxLength, signal, store, ray } = options;
  let done = 0;
  let phase: string | undefined;
  let device: string | undefined;
  const counts: LikelihoodCounts = { known: 0, cut: 0, over: 0 };
  return {
    name: nameLikelihood(kind, model, { template, maxLength }),
    scale: scaleOf(kind),
    work: () => ({ done, phase }),
    get notes() {
      return [
        ...noteLikelihood(kind, `${model}${device === undefined ? "" : ` (${device})`}`, template),
        ...noteCounts(counts, `${formatCount(maxLength)} tokens`),
      ];
    },
    async *rate(examples) {
      done = counts.known = counts.cut = counts.over = 0;
      phase = "loading the model";
      await using measurer = await openMeasurer({
        model,
        option: `--judge ${kind}:MODEL`,
        parts: kind === "ifd" ? ["answer", "alone"] : ["answer"],
        maxLength,
        chatTemplate: templateFile(template),
        store,
        ray,
        signal,
        onPhase: (doing) => void (phase = doing),
      });
      const measureBlock = async (block: readonly Example[]): Promise<readonly Rating[]> => {
        const refused = block.map((example) => refuseToMeasure(example, template));
        const asked = block.flatMap((example, i) => (refused[i] ? [] : [toParts(example, template)]));
        const measured = await measurer.measure(asked, (count, { isKnown }) => {
          phase = undefined;
          done += count;
          if (isKnown) counts.known += count;
        });
        phase = undefined;
        device = measurer.device();
        let next = 0;
        return refused.map((refusal) => refusal ?? rateLikelihood(measured[next++]!, kind, counts));
      };
      yield* mapInBlocks(examples, measureBlock, measurer.rowsInFlight);
    },
  };
}

/** How many rows were measured before, are longer than the model was given, and have an IFD of 1 or more. */
export interface LikelihoodCounts {
  known: number;
  cut: number;
  over: number;
}

/** A judge's name: ratings by other settings are other ratings. */
export function nameLikelihood(
  kind: LikelihoodKind,
  model: string,
  { template, maxLength }: { readonly template: MeasureTemplate; readonly maxLength: number },
): string {
  return [
    `${kind}:${model}`,
    ...(template === "plain" ? [] : [`template ${template}`]),
    ...(maxLength === defaultMaxLength ? [] : [`at most ${maxLength} tokens`]),
  ].join(", ");
}

export function scaleOf(kind: LikelihoodKind): Judge["scale"] {
  return kind === "perplexity" ? undefined : { min: 0, max: 1 };
}

export function noteLikelihood(kind: LikelihoodKind, by: string, template: MeasureTemplate): string[] {
  return [meaning[kind], `measured by ${by}, ${promptNote[template]}`];
}

/** @param limit the most tokens of a row, in words */
export function noteCounts({ known, cut, over }: LikelihoodCounts, limit: string): string[] {
  return [
    ...(known > 0 ? [`${formatNumbered(known, "row was", "rows were")} measured before, and not again`] : []),
    ...(cut > 0
      ? [
          `${formatNumbered(cut, "row is", "rows are")} longer than ${limit}; what is beyond is not counted (--max-length)`,
        ]
      : []),
    ...(over > 0
      ? [
          `${formatNumbered(over, "row has", "rows have")} an IFD of 1 or more, where the prompt makes the answer no easier: without a score, as in the published selection`,
        ]
      : []),
  ];
}

const meaning: Record<LikelihoodKind, string> = {
  perplexity: "perplexity of the answer given its prompt: low where the model expects it",
  ifd: "instruction-following difficulty: perplexity of the answer with its prompt, divided by that without it; high where the prompt helps little",
  fit: "mean probability of the answer's tokens given the prompt (1 / perplexity): high where the answer is what the model would say",
};

const promptNote: Record<MeasureTemplate, string> = {
  plain: "the prompt as plain text",
  alpaca: "the prompt as the paper writes it",
  chat: "the prompt by its chat template",
};

/** Why a row is not measured. */
export function refuseToMeasure(
  { unreadable, output, conversation }: Example,
  template: MeasureTemplate,
): Rating | undefined {
  if (unreadable !== undefined) return { state: "pending" }; // its state is told elsewhere
  if (output === "" && !conversation?.answer.toolCalls)
    return { state: "refused", detail: "it has no answer to measure" };
  if (template === "alpaca" && conversation && conversation.turns.length > 1)
    return { state: "refused", detail: "a conversation does not fit the Alpaca prompt; use --template chat or plain" };
  return undefined;
}

/** The rating of what was measured; counts rows that are cut, or over an IFD of 1. */
export function rateLikelihood(found: LikelihoodOf, kind: LikelihoodKind, counts: LikelihoodCounts): Rating {
  if ("problem" in found) return { state: "failed", detail: found.problem };
  const { answer, alone, isCut } = found.likelihood;
  if (isCut) counts.cut++;
  const likelihood = toTrace(found.likelihood);
  if (!answer || answer.tokens === 0)
    return {
      state: "refused",
      detail: "its prompt alone is as long as the model was given; raise --max-length, where the model takes more",
      likelihood,
    };
  const perplexity = Math.exp(meanOf(answer));
  if (kind === "perplexity") return scored(perplexity);
  if (kind === "fit") return scored(1 / perplexity);
  if (!alone || alone.tokens === 0)
    return { state: "refused", detail: "its answer is one token, which has no perplexity by itself", likelihood };
  const difficulty = Math.exp(meanOf(answer) - meanOf(alone));
  if (difficulty < 1) return scored(difficulty);
  counts.over++;
  return {
    state: "refused",
    detail: `IFD of ${difficulty.toPrecision(4)}: the prompt makes the answer no easier`,
    likelihood,
  };

  function scored(score: number): Rating {
    return Number.isFinite(score)
      ? { state: "scored", score: Number(score.toPrecision(8)), likelihood }
      : { state: "failed", detail: "the model gives the answer no finite probability", likelihood };
  }
}

function meanOf({ nll, tokens }: TokenSum): number {
  return nll / tokens;
}

function toTrace({ answer, alone }: Likelihood): NonNullable<Rating["likelihood"]> {
  const pair = (sum: TokenSum): [number, number] => [Number(sum.nll.toPrecision(10)), sum.tokens];
  return { ...(answer && { answer: pair(answer) }), ...(alone && { alone: pair(alone) }) };
}
