/** What the trainer tells of one step. */
export interface StepMetrics {
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
  /** Tokens seen since the training began. */
  readonly tokens: number;
}

/**
 * Reads a line of the trainer's log: a Python dictionary with the step's metrics. Undefined for any other line.
 *
 * @param stepsPerEpoch tells the step from the epoch, which is all that the line has
 */
export function readMetrics(line: string, stepsPerEpoch: number): StepMetrics | undefined {
  const [, text] = /(\{'loss': .*\})/.exec(line) ?? [];
  if (text === undefined) return undefined;
  const values = new Map<string, number>();
  for (const [, name, value] of text.matchAll(/'(\w+)': '?([-\w.+]+)'?/g)) values.set(name!, Number(value));
  const epoch = values.get("epoch");
  const loss = values.get("loss");
  if (epoch === undefined || loss === undefined) return undefined;
  return {
    step: Math.round(epoch * stepsPerEpoch),
    loss,
    learningRate: values.get("learning_rate") ?? NaN,
    tokens: values.get("num_tokens") ?? 0,
  };
}

const advices: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [
    /out of memory|OutOfMemoryError|std::bad_alloc/i,
    "not enough memory: fewer rows at a time (--device-batch 1), more GPUs, a shorter --max-length, or a recipe with LoRA or QLoRA",
  ],
  [
    /gated repo|GatedRepoError|401 Client Error|awaiting a review/i,
    "the base model is gated: accept its licence on the Hub and set HF_TOKEN",
  ],
  [
    /RepositoryNotFoundError|is not a local folder and is not a valid model identifier|Can't load the configuration/i,
    "the base model was not found: a Hub id or a folder is expected (--base)",
  ],
  [
    /LocalEntryNotFoundError|couldn't connect to|OfflineModeIsEnabled|Name or service not known|Connection(?:Error|refused)/i,
    "the Hub cannot be reached: name a folder with --base, or --base smollm2, which needs no Hub",
  ],
  [/No space left on device|ENOSPC/i, "the disk is full: a checkpoint of full training takes some 12 bytes a weight"],
  [
    /Some specified arguments are not used|unrecognized arguments|unexpected keyword argument/i,
    "the trainer does not know a setting: its version is not that of requirements.txt",
  ],
  [
    /No solution found when resolving|Failed to (?:fetch|download)|error sending request/i,
    "uv could not install the trainer: look at the network and the package index",
  ],
  [/expected a model with a chat template/i, "the base model has no chat template: --template alpaca"],
];

/** A word of advice for the usual ways to fail; undefined for the others. */
export function adviseOn(log: string): string | undefined {
  return advices.find(([pattern]) => pattern.test(log))?.[1];
}
