import type { Estimate } from "./rate-limiter.ts";
import type { Usage } from "./reply.ts";

const firstTokensPerByte = 0.3; // until replies give a better figure
const weight = 0.05; // of the newest reply in the moving averages

/** Predicts the tokens of a call from those of the replies so far, for the rate limiter. */
export class UsageEstimator {
  #tokensPerByte = firstTokensPerByte;
  #meanOutput: number | undefined;

  /** @param bytes of the prompt */
  estimate(bytes: number, maxOutputTokens: number): Estimate {
    return {
      inputTokens: Math.ceil(bytes * this.#tokensPerByte),
      outputTokens: Math.ceil(this.#meanOutput ?? maxOutputTokens / 2),
    };
  }

  add(bytes: number, { inputTokens, outputTokens }: Usage): void {
    this.#tokensPerByte += weight * (inputTokens / Math.max(1, bytes) - this.#tokensPerByte);
    this.#meanOutput = (this.#meanOutput ?? outputTokens) * (1 - weight) + outputTokens * weight;
  }
}
