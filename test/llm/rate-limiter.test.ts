import { describe, expect, test } from "vitest";
import { RateLimiter, type RateLimiterOptions, type Passage } from "../../src/llm/rate-limiter.ts";

const estimate = { inputTokens: 100, outputTokens: 50 };

/** A provider that is asked through a limiter, second by second of a clock that we turn. */
function simulate(
  options: RateLimiterOptions,
  seconds: number,
  latencyMs: number,
  answer: (now: number, inFlight: number) => Partial<Passage>,
): { sent: number[]; answered: number; refused: number; most: number; limiter: RateLimiter } {
  const limiter = new RateLimiter(options);
  const flights: { endsAt: number; enteredAt: number }[] = [];
  const sent: number[] = [];
  let answered = 0;
  let refused = 0;
  let most = 0;
  for (let now = 0; now < seconds * 1000; now++) {
    while (flights[0] && flights[0].endsAt <= now) {
      const { enteredAt } = flights.shift()!;
      const passage: Passage = { enteredAt, estimate, result: "answered", ...answer(now, flights.length + 1) };
      if (passage.result === "answered") answered++;
      else refused++;
      limiter.leave(passage, now);
    }
    while (limiter.tryEnter(estimate, now)) {
      sent.push(now);
      flights.push({ endsAt: now + latencyMs, enteredAt: now });
    }
    most = Math.max(most, limiter.inFlight);
  }
  return { sent, answered, refused, most, limiter };
}

describe("concurrency", () => {
  test("starts low, grows to its bound while all goes well, and never passes it", () => {
    const { sent, most } = simulate({ concurrency: 64 }, 5, 100, () => ({}));
    expect(sent.filter((at) => at < 100)).toHaveLength(16);
    expect(most).toBe(64);
    expect(sent.length).toBeGreaterThan(0.93 * 50 * 64);
  });

  test("shrinks where a provider takes only so many at a time, and stays near what it takes", () => {
    const { limiter, answered, refused } = simulate({ concurrency: 64 }, 60, 100, (_, inFlight) =>
      inFlight > 10 ? { result: "congested", retryAfterMs: 200 } : {},
    );
    expect(limiter.concurrency).toBeLessThan(20);
    expect(answered).toBeGreaterThan(0.8 * 600 * 10);
    expect(refused / (answered + refused)).toBeLessThan(0.2);
  });

  test("is not thrown back by a provider that refuses 5 % at random", () => {
    let count = 0;
    const { sent } = simulate({ concurrency: 64 }, 60, 100, () => (count++ % 20 === 7 ? { result: "congested" } : {}));
    expect(sent.length).toBeGreaterThan(0.9 * 600 * 64);
  });

  test("pauses as long as a provider asks that refuses everything", () => {
    const { sent } = simulate({ concurrency: 64 }, 10, 50, () => ({ result: "congested", retryAfterMs: 2000 }));
    expect(sent.length).toBeLessThan(60);
    const gaps = sent.slice(1).map((at, i) => at - sent[i]!);
    expect(Math.max(...gaps)).toBeGreaterThanOrEqual(1900);
  });
});

describe("limits a minute", () => {
  test.each([60, 600, 6000])("of %d requests are used up and never passed, in no minute", (requests) => {
    const { sent } = simulate({ concurrency: 64, limits: { requests } }, 180, 50, () => ({}));
    expect(sent.length / 3).toBeGreaterThan(0.95 * requests);
    for (let from = 0; from <= 120_000; from += 7_000)
      expect(sent.filter((at) => at >= from && at < from + 60_000).length).toBeLessThanOrEqual(requests * 1.01);
  });

  test("of tokens count what was used, not what was guessed", () => {
    const used = { inputTokens: 20, outputTokens: 5 };
    const { sent } = simulate({ concurrency: 8, limits: { inputTokens: 12_000 } }, 120, 50, () => ({ used }));
    expect(sent.length / 2).toBeGreaterThan(0.9 * (12_000 / 20));
    expect(sent.length / 2).toBeLessThan(1.05 * (12_000 / 20));
  });

  test("are learnt from a reply", () => {
    const announced = { requests: { perMinute: 120, remaining: 100 } };
    const { sent } = simulate({ concurrency: 8 }, 60, 100, () => ({ announced }));
    expect(sent.length).toBeGreaterThan(110);
    expect(sent.length).toBeLessThan(135); // with those that were sent before the first reply
  });

  test("that are given by hand stand against what a reply tells", () => {
    const announced = { requests: { perMinute: 6000 } };
    const { sent } = simulate({ concurrency: 8, limits: { requests: 60 } }, 60, 100, () => ({ announced }));
    expect(sent.length).toBeLessThanOrEqual(61);
  });

  test("a call larger than a whole burst is let through when the bucket is full", () => {
    const limiter = new RateLimiter({ concurrency: 8, limits: { tokens: 600 } });
    const large = { inputTokens: 5000, outputTokens: 0 };
    expect(limiter.tryEnter(large, 0)).toBe(true);
    expect(limiter.tryEnter(large, 1000)).toBe(false);
    const opensAt = limiter.opensAt(large, 1000)!;
    expect(opensAt).toBeGreaterThan(400_000); // 5,000 tokens at 600 a minute
    expect(limiter.tryEnter(large, opensAt + 1)).toBe(true);
  });
});

test("says which limit all calls wait for, once they have for a while", () => {
  const limiter = new RateLimiter({ concurrency: 8 });
  const large = { inputTokens: 1000, outputTokens: 10 };
  expect(limiter.tryEnter(large, 0)).toBe(true);
  limiter.leave({ enteredAt: 0, estimate: large, result: "answered", announced: { tokens: { perMinute: 30 } } }, 1);
  expect(limiter.tryEnter(large, 2)).toBe(false);
  expect(limiter.heldBy(5_000)).toBeUndefined();
  expect(limiter.heldBy(20_000)).toBe("calls wait for a limit that the server announces: 30 tokens a minute");
});
