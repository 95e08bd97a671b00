import { limitKinds, type AnnouncedLimit, type LimitKind } from "./headers.ts";

/** Limits per minute. Those not given are read from the headers of the provider's replies, if present. */
export type Limits = Partial<Record<LimitKind, number>>;

export interface RateLimiterOptions {
  /** Most calls in flight at once. */
  readonly concurrency: number;
  readonly limits?: Limits | undefined;
}

/** Tokens that a call is expected to use. */
export interface Estimate {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** The result of an attempt, as the limiter needs it. */
export interface Passage {
  readonly enteredAt: number;
  readonly estimate: Estimate;
  /** `congested`: the provider reported overload (429, 503, 529). */
  readonly result: "answered" | "congested" | "failed";
  readonly used?: Estimate | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly announced?: Partial<Record<LimitKind, AnnouncedLimit>> | undefined;
}

const probes = 16; // calls in flight before the provider's first answer
const firstConcurrency = 64; // after the first answer; doubles every round until the first complaint
const memory = 64; // recent answers over which the share of complaints is taken
const calmShare = 0.1; // up to this share of complaints, concurrency still grows
const mildShare = 0.15; // above it, slow down a little; a provider that refuses 5 % at random stays below
const heavyShare = 0.3; // above it, there is a real limit: all calls pause
const fewComplaints = 3; // fewer prove nothing
const outage = 8; // failures in a row that count as an outage
const paceShare = 0.99; // share of a limit that is used, since clocks differ
const requestBurstMs = 250; // a burst may be as large as the limit over this time
const tokenBurstMs = 2_000;
const longestPauseMs = 1_000; // pause when a limit is used up, unless one unit takes longer to come back
const minuteMs = 60_000;

/**
 * Lets calls through as fast as the provider accepts them: bounded adaptive concurrency, limits per minute, pauses. Every
 * attempt passes it, retries too. It has no clock: each method gets the current time `now`, in milliseconds.
 *
 * Concurrency grows by one with each answer (doubling per round) until the provider complains, then by two per round. It
 * shrinks when the share of complaints among recent answers is high, since a provider may refuse a few at random.
 */
export class RateLimiter {
  readonly #maximum: number;
  readonly #byHand: Limits;
  readonly #buckets: Partial<Record<LimitKind, Bucket>> = {};
  #concurrency: number;
  #inFlight = 0;
  #failuresInARow = 0;
  #isHeldBack = false; // whether more calls would be in flight if more were allowed
  #hasAnswered = false;
  #isStarting = true;
  #cutAt = -Infinity;
  #pausedUntil = -Infinity;
  /** The limit that calls wait for, and since when. */
  #held: { readonly kind: LimitKind; readonly since: number } | undefined;
  #recent: boolean[] = []; // whether each of the last answers was a complaint

  constructor({ concurrency, limits = {} }: RateLimiterOptions) {
    this.#maximum = concurrency;
    this.#concurrency = Math.min(probes, concurrency);
    this.#byHand = limits;
    for (const kind of limitKinds) {
      const perMinute = limits[kind];
      if (perMinute !== undefined) this.#buckets[kind] = new Bucket(perMinute, burstMs(kind));
    }
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** How many calls may be in flight now. */
  get concurrency(): number {
    return Math.floor(this.#concurrency);
  }

  /** Lets one call in, and returns true, if concurrency, limits and pauses allow. */
  tryEnter(estimate: Estimate, now: number): boolean {
    if (this.#inFlight >= this.concurrency) this.#isHeldBack = true;
    if (this.#inFlight >= this.concurrency || now < this.#pausedUntil) return false;
    const wanted = limitKinds.flatMap((kind) => {
      const bucket = this.#buckets[kind];
      return bucket ? [{ kind, bucket, amount: amountOf(kind, estimate) }] : [];
    });
    const lacking = wanted.find(({ bucket, amount }) => !bucket.has(amount, now));
    if (lacking) {
      this.#held = { kind: lacking.kind, since: this.#held?.since ?? now };
      return false;
    }
    this.#held = undefined;
    for (const { bucket, amount } of wanted) bucket.take(amount);
    this.#inFlight++;
    return true;
  }

  /** The limit that no call has come past for a while, in words; undefined where calls go on. */
  heldBy(now: number): string | undefined {
    if (!this.#held || now - this.#held.since < heldMs) return undefined;
    const { kind } = this.#held;
    const perMinute = Number(this.#buckets[kind]!.perMinute.toPrecision(3));
    const by = this.#byHand[kind] === undefined ? "the server announces" : "was given";
    return `calls wait for a limit that ${by}: ${perMinute} ${limitNames[kind]} a minute`;
  }

  /** Undoes `tryEnter` for a call that was not made after all. */
  withdraw(estimate: Estimate): void {
    this.#inFlight--;
    this.#correct(estimate, { inputTokens: 0, outputTokens: 0 });
    this.#buckets.requests?.take(-1);
  }

  /** Ends a call's passage and learns from its result. */
  leave(passage: Passage, now: number): void {
    const { enteredAt, estimate, result, used, announced } = passage;
    this.#inFlight--;
    if (this.#inFlight < this.concurrency / 2) this.#isHeldBack = false;
    if (used) this.#correct(estimate, used);
    if (announced) this.#learn(announced, now);
    if (result === "failed") return this.#doubt(enteredAt, now);
    this.#failuresInARow = 0;
    if (result === "answered" && !this.#hasAnswered) {
      this.#hasAnswered = true;
      if (this.#isStarting) this.#concurrency = Math.min(firstConcurrency, this.#maximum);
    }
    this.#recent.push(result === "congested");
    if (this.#recent.length > memory) this.#recent.shift();
    if (result === "congested") this.#yield(passage, now);
    else if (this.#isHeldBack) this.#grow();
  }

  /** Time at which a call may enter even if no other ends before; undefined if one must end first. */
  opensAt(estimate: Estimate, now: number): number | undefined {
    if (this.#inFlight >= this.concurrency) return undefined;
    let at = this.#pausedUntil;
    for (const kind of limitKinds) {
      at = Math.max(at, this.#buckets[kind]?.hasAt(amountOf(kind, estimate), now) ?? -Infinity);
    }
    return at > now ? at : now;
  }

  #grow(): void {
    if (this.#share() > calmShare) return;
    this.#concurrency = Math.min(
      this.#maximum,
      this.#concurrency + (this.#isStarting ? 1 : 2 / Math.max(1, this.#concurrency)),
    );
  }

  #yield({ enteredAt, retryAfterMs }: Passage, now: number): void {
    const share = this.#share();
    const complaints = this.#recent.filter(Boolean).length;
    if (complaints < fewComplaints || share <= mildShare || enteredAt < this.#cutAt) return; // one cut per round of calls
    const isHeavy = share > heavyShare;
    this.#isStarting = false;
    this.#cutAt = now;
    this.#concurrency = Math.max(1, this.#concurrency * (isHeavy ? 0.7 : 0.9));
    if (!isHeavy) return;
    this.#recent = [];
    this.#pausedUntil = Math.max(this.#pausedUntil, now + (retryAfterMs ?? 0));
  }

  /** Treats many failures in a row as an outage: concurrency is halved each round until something is answered. */
  #doubt(enteredAt: number, now: number): void {
    if (++this.#failuresInARow < outage || enteredAt < this.#cutAt) return;
    this.#cutAt = now;
    this.#concurrency = Math.max(1, this.#concurrency / 2);
    this.#pausedUntil = Math.max(this.#pausedUntil, now + longestPauseMs);
  }

  #share(): number {
    return this.#recent.filter(Boolean).length / Math.max(1, this.#recent.length);
  }

  #correct(estimate: Estimate, used: Estimate): void {
    for (const kind of ["tokens", "inputTokens", "outputTokens"] as const) {
      this.#buckets[kind]?.take(amountOf(kind, used) - amountOf(kind, estimate));
    }
  }

  #learn(announced: Partial<Record<LimitKind, AnnouncedLimit>>, now: number): void {
    for (const kind of limitKinds) {
      const limit = announced[kind];
      if (!limit) continue;
      if (this.#byHand[kind] === undefined && limit.perMinute !== undefined) {
        const bucket = (this.#buckets[kind] ??= new Bucket(limit.perMinute, burstMs(kind), 0));
        bucket.setRate(limit.perMinute, now);
      }
      if (limit.remaining === 0) {
        // A limit comes back bit by bit; its reset time is when all of it is back, so a shorter pause is enough.
        const oneBackMs = limit.perMinute === undefined ? minuteMs : minuteMs / limit.perMinute;
        const pauseMs = Math.max(oneBackMs, longestPauseMs);
        this.#pausedUntil = Math.max(this.#pausedUntil, now + Math.min(limit.resetMs ?? pauseMs, pauseMs));
      }
    }
  }
}

const heldMs = 10_000;
const limitNames: Readonly<Record<LimitKind, string>> = {
  requests: "requests",
  tokens: "tokens",
  inputTokens: "input tokens",
  outputTokens: "output tokens",
};

function burstMs(kind: LimitKind): number {
  return kind === "requests" ? requestBurstMs : tokenBurstMs;
}

function amountOf(kind: LimitKind, { inputTokens, outputTokens }: Estimate): number {
  if (kind === "requests") return 1;
  if (kind === "inputTokens") return inputTokens;
  if (kind === "outputTokens") return outputTokens;
  return inputTokens + outputTokens;
}

/** A token bucket: fills evenly over time up to its size. An amount larger than its size may overdraw it. */
class Bucket {
  readonly #burstMs: number;
  #perMs = 0;
  #size = 1;
  #level: number;
  #at = -Infinity;

  constructor(perMinute: number, burst: number, level?: number) {
    this.#burstMs = burst;
    this.#setSize(perMinute);
    this.#level = level ?? this.#size;
  }

  get perMinute(): number {
    return (this.#perMs * minuteMs) / paceShare;
  }

  has(amount: number, now: number): boolean {
    this.#fill(now);
    return this.#level >= Math.min(amount, this.#size) - 1e-9;
  }

  take(amount: number): void {
    this.#level = Math.min(this.#size, this.#level - amount);
  }

  /** Time at which there will be enough. */
  hasAt(amount: number, now: number): number {
    this.#fill(now);
    return now + Math.max(0, (Math.min(amount, this.#size) - this.#level) / this.#perMs);
  }

  setRate(perMinute: number, now: number): void {
    if (Math.abs(perMinute * paceShare - this.#perMs * minuteMs) < 1e-6) return;
    this.#fill(now);
    this.#setSize(perMinute);
    this.#level = Math.min(this.#level, this.#size);
  }

  #setSize(perMinute: number): void {
    this.#perMs = (perMinute * paceShare) / minuteMs;
    this.#size = Math.max(1, this.#perMs * this.#burstMs);
  }

  #fill(now: number): void {
    if (this.#at > -Infinity) this.#level = Math.min(this.#size, this.#level + (now - this.#at) * this.#perMs);
    this.#at = now;
  }
}
