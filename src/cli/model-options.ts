import { Command, InvalidArgumentError, Option } from "commander";
import { UsageError } from "../errors.ts";
import { formatCount } from "../format.ts";
import type { CallsReport } from "../llm/call-tally.ts";
import { limitKinds, type LimitKind } from "../llm/headers.ts";
import type { OpenLlmJudgeOptions } from "../judge/open.ts";
import { reasoningEfforts, type ReasoningEffort } from "../llm/request.ts";
import { parseNumber, parsePositive } from "./options.ts";

/*
 * Options of every command that calls a model.
 */

export interface ModelFlags {
  budget?: number | undefined;
  price?: { input: number; output: number } | undefined;
  concurrency?: number | undefined;
  rpm?: number | undefined;
  tpm?: number | undefined;
  inputTpm?: number | undefined;
  outputTpm?: number | undefined;
  timeout?: number | undefined;
  grace?: number | undefined;
  maxAttempts?: number | undefined;
  maxOutputTokens?: number | undefined;
  reasoning?: ReasoningEffort | undefined;
  store?: string | undefined;
  retryFailed?: boolean | undefined;
  forgetSpent?: boolean | undefined;
  batch?: boolean | undefined;
  batchSize?: number | undefined;
  wait?: boolean | undefined;
}

/** Adds the options to a command. @param mostTokens the default of --max-output-tokens, for the help text */
export function addModelOptions(command: Command, mostTokens = "as the rubric says"): Command {
  return command
    .option(
      "--budget <usd>",
      "stop before this run's total cost, earlier commands included, exceeds this; exit code 4",
      parseUsd,
    )
    .option(
      "--price <in/out>",
      "US dollars per million input and output tokens, if the price list has none: 0.15/0.6",
      parsePrice,
    )
    .option("--concurrency <n>", "maximum calls in flight (32); fewer if the provider cannot keep up", parsePositive)
    .option("--rpm <n>", "maximum requests per minute (from the provider's replies)", parsePositive)
    .option("--tpm <n>", "maximum tokens per minute (likewise)", parsePositive)
    .option("--input-tpm <n>", "maximum input tokens per minute (likewise)", parsePositive)
    .option("--output-tpm <n>", "maximum output tokens per minute (likewise)", parsePositive)
    .option(
      "--timeout <seconds>",
      "time limit of one attempt (120; 900 for a server named by its address)",
      parseSeconds,
    )
    .option(
      "--grace <seconds>",
      "after SIGTERM or SIGHUP, time for calls in flight; those without a reply then count as perhaps paid (10)",
      parseSeconds,
    )
    .option(
      "--max-attempts <n>",
      "maximum attempts of a call, not counting failures due to the provider's load (6)",
      parsePositive,
    )
    .option("--max-output-tokens <n>", `maximum tokens of a reply, reasoning included (${mostTokens})`, parsePositive)
    .addOption(
      new Option(
        "--reasoning <effort>",
        "how much the model reasons before it answers (the provider's default)",
      ).choices(reasoningEfforts),
    )
    .option("--store <file>", "where replies are stored and looked up before calling (.alpagasus/calls.sqlite)")
    .option("--retry-failed", "repeat calls whose attempts all failed; other replies are kept")
    .option("--forget-spent", "count this run's spending anew, where the call store that counted it is gone")
    .option(
      "--batch",
      "use the provider's batch API: replies within a day, at about half the price (openai, anthropic, google)",
    )
    .option("--batch-size <n>", "maximum calls in one batch (10,000)", parsePositive)
    .option("--no-wait", "with --batch: submit, fetch what is ready and exit; run the same command later to continue");
}

/** Converts the flags to the library's options. @throws UsageError if a batch option is given without --batch */
export function readModelFlags(flags: ModelFlags): Partial<OpenLlmJudgeOptions> {
  for (const [name, value] of [
    ["--batch-size", flags.batchSize],
    ["--no-wait", flags.wait === false ? true : undefined],
  ] as const)
    if (value !== undefined && !flags.batch) throw new UsageError(`${name}: expected --batch with it, got none`);
  const given: Record<LimitKind, number | undefined> = {
    requests: flags.rpm,
    tokens: flags.tpm,
    inputTokens: flags.inputTpm,
    outputTokens: flags.outputTpm,
  };
  const limits = Object.fromEntries(
    limitKinds.flatMap((kind) => (given[kind] === undefined ? [] : [[kind, given[kind]]])),
  );
  return {
    limits,
    budgetUsd: flags.budget,
    price: flags.price,
    concurrency: flags.concurrency,
    timeoutMs: inMilliseconds(flags.timeout),
    graceMs: inMilliseconds(flags.grace),
    maxAttempts: flags.maxAttempts,
    maxOutputTokens: flags.maxOutputTokens,
    reasoning: flags.reasoning,
    store: flags.store,
    retryFailed: flags.retryFailed,
    forgetSpent: flags.forgetSpent,
    batch: flags.batch ? { size: flags.batchSize, wait: flags.wait } : undefined,
  };
}

function inMilliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}

/** Says what happens to open calls when the user interrupts. */
export function describeWaiting({ inFlight, inBatches }: CallsReport): string {
  return inBatches > 0
    ? "calls stay in batches at the provider; the same command fetches them when they have ended"
    : `waiting for ${formatCount(inFlight)} calls in flight (Ctrl-C again to stop at once)`;
}

/** @throws UsageError if an option is given that applies only to judges that call a model */
export function expectNoModelFlags(command: Command, judge: string, others: readonly string[]): void {
  expectNoFlags(command, [...modelOptionNames, ...others], `a judge that calls a model, got ${judge}`);
}

/** @throws UsageError if one of these options is given, which need `expected` */
export function expectNoFlags(command: Command, names: readonly string[], expected: string): void {
  const given = command.options.filter(
    (option) => names.includes(option.name()) && command.getOptionValueSource(option.attributeName()) === "cli",
  );
  if (given.length > 0)
    throw new UsageError(
      `${given.map((option) => option.long).join(", ")}: expected ${expected}; leave the option out`,
    );
}

const modelOptionNames = addModelOptions(new Command()).options.map((option) => option.name());

export function parseUsd(text: string): number {
  const value = /^\$?[\d.]+(e-?\d+)?$/i.test(text) ? parseNumber(text.replace(/^\$/, "")) : NaN;
  if (!(value >= 0 && value < 1e6))
    throw new InvalidArgumentError("Expected US dollars, 0 or more and under 1,000,000: 5 or 0.50.");
  return value;
}

function parseSeconds(text: string): number {
  const value = parseNumber(text);
  if (!(value > 0 && value <= 86_400)) throw new InvalidArgumentError("Expected seconds, over 0 and up to a day.");
  return value;
}

/** `0.15/0.6` */
function parsePrice(text: string): { input: number; output: number } {
  const [, input, output] = /^(\d+(?:\.\d+)?)\/(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (input === undefined)
    throw new InvalidArgumentError("Expected US dollars for a million input and output tokens: 0.15/0.6.");
  const price = { input: Number(input), output: Number(output) };
  if (Math.max(price.input, price.output) > highestPrice)
    throw new InvalidArgumentError(
      `Expected at most ${highestPrice.toLocaleString("en")} US dollars for a million tokens.`,
    );
  return price;
}

const highestPrice = 1_000_000;
