/** The trainer's metrics of one step. */
export interface StepMetrics {
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
  /** Tokens processed since the training began. */
  readonly tokens: number;
}

/**
 * Reads a line of the trainer's log: a Python dictionary with the step's metrics. Undefined for any other line.
 *
 * @param stepsPerEpoch to compute the step, since the line has only the epoch
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
