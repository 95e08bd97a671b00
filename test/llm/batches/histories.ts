import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setImmediate as turn } from "node:timers/promises";
import {
  APICallError,
  InvalidArgumentError,
  InvalidResponseDataError,
  type Experimental_BatchV4 as BatchV4,
  type Experimental_BatchV4ItemResult as ItemResult,
  type Experimental_BatchV4ListItem as ListItem,
  type Experimental_BatchV4ListResult as ListResult,
  type Experimental_BatchV4StartOptions as StartOptions,
  type Experimental_BatchV4StartResult as StartResult,
  type Experimental_BatchV4Status as BatchStatus,
  type LanguageModelV4,
} from "@ai-sdk/provider";
import fc from "fast-check";
import { BatchAsker, type BatchClock } from "../../../src/llm/batches/batch-asker.ts";
import type { BatchTransport } from "../../../src/llm/batches/transport.ts";
import { CallStore } from "../../../src/llm/call-store.ts";
import { modelOf, type ChatModel } from "../../../src/llm/chat-model.ts";
import { flatPrice } from "../../../src/llm/price.ts";
import { requestKey, type ModelRequest } from "../../../src/llm/request.ts";
import { forgetBatches } from "../../../src/stages/batches.ts";

/*
 * Whole lives of a few rows that are asked in batches: commands that are started, killed and started again, at a provider
 * that misbehaves as it is told. Everything happens in this process and in a time of its own, so that a history of days
 * takes milliseconds; and the same history always goes the same way, so that fast-check can shrink it.
 *
 * What the provider keeps to, whatever else it does wrong (an asker that relies on no more than this passes):
 *
 * - Within `listedAfterMs` after a request for a batch broke off, or its sender died, the batch is made and listed, or
 *   never will be. A batch may be missing in the list only until then.
 * - No batch whose maker never learnt its name is lost or damaged. (Nobody could know whose it was.)
 * - At most two downloads of a history end too early without an error. The counts of a batch are always right.
 * - A batch is one thing: what it gives for a row it gives each time.
 */

const listedAfterMs = 60_000;
const longestLateMs = 25_000; // of the making, and again of the listing: both together are below `listedAfterMs`

type Flavour = "openai" | "anthropic" | "google";

/** What becomes of a request for a batch. */
interface Start {
  readonly uploadMs: number;
  /** "… after": the batch is made all the same. */
  readonly outcome:
    | "taken"
    | "reset before"
    | "reset after"
    | "504 before"
    | "504 after"
    | "500 before"
    | "500 after"
    | "page after"
    | "429"
    | "401"
    | "503"
    | "unreachable"
    | "made twice";
  /** How late the batch is made when its answer is lost, and how late it is listed after that. */
  readonly lateMs: number;
}

export type ItemFate =
  | "answered"
  | "server error"
  | "too long"
  | "filtered"
  | "missing" // counted as answered, and paid
  | "bad line" // answered and paid, but nobody can read it: what the transport makes of such a line
  | "twice"
  | "twice, once failed"
  | "beside an unknown";

/** What becomes of a batch. */
export interface Fate {
  readonly workMs: number;
  readonly end: "completed" | "expired" | "cancelled" | "failed";
  /** Calls that were answered before it expired or was cancelled. */
  readonly answered: number;
  readonly items: readonly ItemFate[];
  readonly isReversed: boolean;
  /** What happens to it once its name is known: nobody gets its results any more, though they are paid. */
  readonly damage: "none" | "vanishes" | "no files" | "results unreadable";
}

type StatusFault = "none" | "503" | "429" | "page" | "404" | "reset";
type ListFault = "none" | "503" | "page" | "empty";
type ResultsFault = "none" | "503" | "no files yet" | "cut" | "cut in silence";

interface Command {
  readonly looksFirst: boolean;
  readonly isWaiting: boolean;
  readonly afterMs: number;
  readonly clockOffMs: number;
  /** The step (a call's beginning, middle or end; a transaction's beginning or end) at which it is ended. */
  readonly endsAt: number | null;
  readonly how: "kill" | "interrupt";
}

export interface History {
  readonly flavour: Flavour;
  readonly rows: number;
  readonly batchSize: number;
  /** Calls that the provider has in work at a time, and takes in one request. */
  readonly queueCalls: number | null;
  readonly mostCalls: number | null;
  readonly pageSize: number;
  readonly isOldestFirst: boolean;
  /** Batches of somebody else: how many calls each. */
  readonly foreign: readonly { readonly calls: number; readonly madeMsBefore: number; readonly workMs: number }[];
  /** The n-th holds for the n-th request of its kind, or the n-th batch made; all later ones go well. */
  readonly starts: readonly Start[];
  readonly statuses: readonly StatusFault[];
  readonly lists: readonly ListFault[];
  readonly results: readonly ResultsFault[];
  readonly fates: readonly Fate[];
  /** Commands that run side by side, one group after another. */
  readonly commands: readonly (readonly Command[])[];
  readonly gapMs: number;
}

const plainStart: Start = { uploadMs: 0, outcome: "taken", lateMs: 0 };
const plainFate: Fate = { workMs: 60_000, end: "completed", answered: 0, items: [], isReversed: false, damage: "none" };
const plainCommand: Command = {
  looksFirst: false,
  isWaiting: true,
  afterMs: 0,
  clockOffMs: 0,
  endsAt: null,
  how: "kill",
};
const plainHistory: History = {
  flavour: "openai",
  rows: 1,
  batchSize: 4,
  queueCalls: null,
  mostCalls: null,
  pageSize: 100,
  isOldestFirst: false,
  foreign: [],
  starts: [],
  statuses: [],
  lists: [],
  results: [],
  fates: [],
  commands: [[plainCommand]],
  gapMs: 0,
};

export interface Told extends Partial<Omit<History, "starts" | "fates" | "commands">> {
  readonly starts?: readonly Partial<Start>[];
  readonly fates?: readonly Partial<Fate>[];
  readonly commands?: readonly (readonly Partial<Command>[])[];
}

/** A history of which only is told what is out of the ordinary. */
export function historyOf({ starts = [], fates = [], commands = [[{}]], ...rest }: Told): History {
  return {
    ...plainHistory,
    ...rest,
    starts: starts.map((start) => ({ ...plainStart, ...start })),
    fates: fates.map((fate) => ({ ...plainFate, ...fate })),
    commands: commands.map((group) => group.map((command) => ({ ...plainCommand, ...command }))),
  };
}

/** The same the other way round, for messages. */
export function tell(history: History): string {
  const unlike = <T extends object>(plain: T, thing: T) =>
    Object.fromEntries(
      Object.entries(thing).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(plain[name as keyof T])),
    );
  const told = {
    ...unlike(plainHistory, history),
    ...(history.starts.length > 0 && { starts: history.starts.map((start) => unlike(plainStart, start)) }),
    ...(history.fates.length > 0 && { fates: history.fates.map((fate) => unlike(plainFate, fate)) }),
    commands: history.commands.map((group) => group.map((command) => unlike(plainCommand, command))),
  };
  return JSON.stringify(told).replaceAll(/"(\w+)":/g, "$1:");
}

const starts: fc.Arbitrary<Start> = fc.record({
  uploadMs: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(600_000) }),
  outcome: fc.constantFrom<Start["outcome"][]>(
    "taken",
    "reset before",
    "reset after",
    "504 before",
    "504 after",
    "500 before",
    "500 after",
    "page after",
    "429",
    "401",
    "503",
    "unreachable",
    "made twice",
  ),
  lateMs: fc.nat(longestLateMs),
});

const fates: fc.Arbitrary<Fate> = fc.record({
  workMs: fc.oneof(fc.nat(120_000), fc.nat(7_200_000)),
  end: fc.constantFrom<Fate["end"][]>("completed", "completed", "completed", "expired", "cancelled", "failed"),
  answered: fc.nat(6),
  items: fc.array(
    fc.constantFrom<ItemFate[]>(
      "answered",
      "answered",
      "answered",
      "server error",
      "too long",
      "filtered",
      "missing",
      "bad line",
      "twice",
      "twice, once failed",
      "beside an unknown",
    ),
    { maxLength: 6 },
  ),
  isReversed: fc.boolean(),
  damage: fc.constantFrom<Fate["damage"][]>(
    "none",
    "none",
    "none",
    "none",
    "vanishes",
    "no files",
    "results unreadable",
  ),
});

const commands: fc.Arbitrary<Command> = fc.record({
  looksFirst: fc.boolean(),
  isWaiting: fc.constantFrom(true, true, false),
  afterMs: fc.nat(5_000),
  clockOffMs: fc.oneof(fc.constant(0), fc.integer({ min: -3_600_000, max: 3_600_000 })),
  endsAt: fc.option(fc.nat(40)),
  how: fc.constantFrom<Command["how"][]>("kill", "kill", "interrupt"),
});

const limits = fc.oneof(
  { weight: 4, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 8 }) },
);

export const histories: fc.Arbitrary<History> = fc.record({
  flavour: fc.constantFrom<Flavour[]>("openai", "anthropic", "google"),
  rows: fc.integer({ min: 1, max: 8 }),
  batchSize: fc.integer({ min: 1, max: 6 }),
  queueCalls: limits,
  mostCalls: limits,
  pageSize: fc.constantFrom(100, 1, 2),
  isOldestFirst: fc.boolean(),
  foreign: fc.array(
    fc.record({ calls: fc.integer({ min: 1, max: 6 }), madeMsBefore: fc.nat(600_000), workMs: fc.nat(1_200_000) }),
    { maxLength: 3 },
  ),
  starts: fc.array(starts, { maxLength: 4 }),
  statuses: fc.array(fc.constantFrom<StatusFault[]>("none", "503", "429", "page", "404", "reset"), { maxLength: 4 }),
  lists: fc.array(fc.constantFrom<ListFault[]>("none", "503", "page", "empty"), { maxLength: 4 }),
  results: fc
    .array(fc.constantFrom<ResultsFault[]>("none", "503", "no files yet", "cut", "cut in silence"), { maxLength: 4 })
    .filter((faults) => faults.filter((fault) => fault === "cut in silence").length <= 2),
  fates: fc.array(fates, { maxLength: 4 }),
  commands: fc.array(fc.array(commands, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 4 }),
  gapMs: fc.nat(600_000),
});

// --- time ---

const endlessTurns = 100_000;

interface Happening {
  readonly at: number;
  readonly order: number;
  readonly happen: () => void;
}

/** Time that passes only when everybody waits. */
class Timeline {
  now = Date.UTC(2026, 0, 1);
  #order = 0;
  #events: Happening[] = [];

  at(at: number, happen: () => void): void {
    this.#events.push({ at, order: this.#order++, happen });
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.at(this.now + ms, resolve);
    });
  }

  /** Lets time pass until something is over. @throws Error when it never will be */
  async passUntil(over: Promise<unknown>): Promise<void> {
    let isOver = false;
    const note = () => {
      isOver = true;
    };
    over.then(note, note);
    for (let turns = 0; ; turns++) {
      await turn(); // whoever can go on does
      if (isOver) break;
      const next = this.#events.toSorted((a, b) => a.at - b.at || a.order - b.order)[0];
      if (!next) throw new Error("hangs: waits for nothing that is to come");
      if (turns > endlessTurns) throw new Error("does not end");
      this.#events.splice(this.#events.indexOf(next), 1);
      this.now = Math.max(this.now, next.at);
      next.happen();
    }
    this.#events = []; // whatever dead processes had waited for
  }
}

// --- processes ---

/** What a process dies of. */
class Kill extends Error {}

const never = new Promise<never>(() => {});
/** Which process has opened a store; the store's own constructor makes a transaction before that can be a field. */
const openers = new WeakMap<CallStore, Process>();

class MortalStore extends CallStore {
  override transact<T>(work: () => T): T {
    const opener = openers.get(this);
    opener?.step();
    const result = super.transact(work);
    opener?.step();
    return result;
  }
}

const nobodysNumber = 2 ** 30; // no process has a number that high

/** A command as a process of its own: after its death nothing of it goes on, and its transactions never happened or are on disk. */
class Process {
  readonly clock: BatchClock;
  readonly transport: BatchTransport;
  readonly store: CallStore;
  readonly died: Promise<void>;
  readonly interruption = new AbortController();
  /** Run at every step that it survives. */
  onNextStep: (() => void) | undefined;
  readonly onDeath: (() => void)[] = [];
  /** What it has seen of the provider's batches and clock. */
  readonly marks = new Map<string, string | null>();
  providerNow: number | undefined;
  readonly #command: Command;
  readonly #path: string;
  readonly #owners: readonly string[];
  readonly #die: () => void;
  #isDead = false;
  #steps = 0;

  constructor(path: string, command: Command, time: Timeline, flavour: Flavour) {
    this.#path = path;
    this.#command = command;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.died = promise;
    this.#die = resolve;
    this.transport = {
      fetch: () => Promise.reject(new Error("nothing is sent here")),
      markHeader: "mark",
      markOf: (id) => this.marks.get(id),
      listsMarks: flavour !== "anthropic",
      providerNow: () => this.providerNow,
      onSend: new Map(),
      replyOf: () => undefined,
      forgetRows: () => {},
    };
    this.clock = {
      now: () => Math.floor(time.now + command.clockOffMs),
      sleep: async (ms, signal) => {
        if (signal?.aborted) return;
        await new Promise<void>((wake) => {
          time.at(time.now + Math.max(0, ms), wake);
          signal?.addEventListener("abort", () => time.at(time.now, wake), { once: true });
        });
        if (this.#isDead) await never;
      },
    };
    const before = existsSync(path) ? owners(path) : [];
    this.store = new MortalStore(path);
    this.#owners = owners(path).filter((id) => !before.includes(id));
    openers.set(this.store, this);
  }

  /** Something that a kill may come before. @throws Kill when it does, or has come */
  step(): void {
    if (this.#isDead) throw new Kill("killed");
    if (this.#steps++ === this.#command.endsAt) {
      if (this.#command.how === "interrupt") this.interruption.abort();
      else this.#kill();
    }
    this.onNextStep?.();
  }

  /** The same where its own code is not to see it. */
  async survive(): Promise<void> {
    try {
      this.step();
    } catch {
      await never;
    }
  }

  /** It has done its work; closing the store is a step at which it may still be killed. */
  end(): void {
    if (this.#isDead) return;
    try {
      this.store[Symbol.dispose]();
    } catch (error) {
      if (!this.#isDead) throw error;
    }
  }

  #kill(): never {
    this.#isDead = true;
    for (const happen of this.onDeath) happen();
    try {
      this.store[Symbol.dispose](); // closes the file without a transaction, since it is dead
    } catch {
      // as it should
    }
    using database = new DatabaseSync(this.#path);
    for (const id of this.#owners) database.prepare("update owners set pid = ? where id = ?").run(nobodysNumber, id);
    this.#die();
    throw new Kill("killed");
  }

  get isDead(): boolean {
    return this.#isDead;
  }
}

function owners(path: string): string[] {
  using database = new DatabaseSync(path);
  return database
    .prepare("select id from owners")
    .all()
    .map((row) => String(row["id"]));
}

// --- the provider ---

const price = flatPrice(1, 2);
const usage = { inputTokens: 10, cachedInputTokens: 0, cacheWriteTokens: 0, outputTokens: 5, reasoningTokens: 0 };
const cost = price.costOf(usage);
const latencyMs = 40;
const validationMs = 5_000;
const textFor = (key: string) => `Score for ${key}`;

interface Batch {
  readonly id: string;
  readonly keys: readonly string[];
  readonly fate: Fate;
  readonly isForeign: boolean;
  readonly isQueueFull: boolean;
  /** The same for batches that one request made. */
  readonly request: number;
  /** What was sent along with it. */
  readonly mark: string | undefined;
  madeAt: number;
  listedAt: number;
  /** Until when it may be missing in a list. */
  hiddenUntil: number;
  /** Whether whoever made it has kept its name. */
  isNamed: boolean;
}

/** What a provider has in its books at the end. */
export class Provider {
  readonly batches: Batch[] = [];
  /** What it said of calls for good. */
  readonly said = new Map<string, Set<"refused" | "failed">>();
  readonly #history: History;
  readonly #time: Timeline;
  readonly #seen = { starts: 0, statuses: 0, lists: 0, results: 0, batches: 0, requests: 0 };

  constructor(history: History, time: Timeline) {
    this.#history = history;
    this.#time = time;
    for (const [i, { calls, madeMsBefore, workMs }] of history.foreign.entries())
      this.batches.push({
        id: `foreign${i}`,
        keys: Array.from({ length: calls }, (_, j) => `foreign${i}-${j}`),
        fate: { ...plainFate, workMs },
        isForeign: true,
        isQueueFull: false,
        request: -1 - i,
        mark: undefined,
        madeAt: time.now - madeMsBefore,
        listedAt: 0,
        hiddenUntil: 0,
        isNamed: true,
      });
  }

  #now(): Date {
    return new Date(this.#time.now);
  }

  #error(statusCode: number, message: string, code: string, headers: Record<string, string> = {}): APICallError {
    return new APICallError({
      message,
      url: "https://provider.test/batches",
      requestBodyValues: {},
      statusCode,
      responseHeaders: { date: this.#now().toUTCString(), ...headers },
      responseBody: JSON.stringify({ error: { message, type: code, code } }),
    });
  }

  #page(): APICallError {
    return new APICallError({
      message: "Invalid JSON response",
      url: "https://provider.test/batches",
      requestBodyValues: {},
      statusCode: 200,
      responseHeaders: { "content-type": "text/html" },
      responseBody: "<html>Please wait</html>",
    });
  }

  #reset(): Error {
    return Object.assign(new TypeError("fetch failed"), {
      cause: Object.assign(new Error("other side closed"), { code: "ECONNRESET" }),
    });
  }

  #unreachable(): Error {
    return Object.assign(new TypeError("fetch failed"), {
      cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" }),
    });
  }

  endsAt({ madeAt, fate, isQueueFull }: Batch): number {
    return madeAt + validationMs + (isQueueFull ? 0 : fate.workMs);
  }

  #isEnded(batch: Batch): boolean {
    return this.endsAt(batch) <= this.#time.now;
  }

  #damage({ fate, isNamed }: Batch): Fate["damage"] {
    return isNamed ? fate.damage : "none";
  }

  #fateOf(batch: Batch, index: number): ItemFate {
    const fate = batch.fate.items[index] ?? "answered";
    return batch.isNamed || (fate !== "missing" && fate !== "bad line") ? fate : "answered";
  }

  #endOf({ fate, isQueueFull }: Batch): Fate["end"] {
    if (isQueueFull) return "failed";
    return fate.end === "failed" && this.#history.flavour === "anthropic" ? "completed" : fate.end; // it has none that fail
  }

  #isAnswered(batch: Batch, index: number): boolean {
    const end = this.#endOf(batch);
    return end === "completed" || (end !== "failed" && index < batch.fate.answered);
  }

  isBilled(batch: Batch, index: number): boolean {
    const fate = this.#fateOf(batch, index);
    const isForNothing = fate === "server error" || fate === "too long" || fate === "filtered";
    return this.#isAnswered(batch, index) && !isForNothing;
  }

  /** The results as they are downloaded: items, and an error where the stream breaks. */
  #lines(batch: Batch): (ItemResult | Error)[] {
    if (this.#endOf(batch) === "failed") return [];
    const lines = batch.keys.map((id, index): (ItemResult | Error)[] => {
      const fail = (message: string, statusCode: number): ItemResult => ({
        type: "text",
        id,
        status: "failed",
        error: { message, statusCode },
      });
      if (!this.#isAnswered(batch, index))
        return [{ type: "text", id, status: this.#endOf(batch) === "expired" ? "expired" : "cancelled" }];
      switch (this.#fateOf(batch, index)) {
        case "server error":
          return [fail("The server had an error", 500)];
        case "too long":
          return [fail("prompt is too long: 210000 tokens", 400)];
        case "filtered":
          return [fail("flagged by the safety policy", 400)];
        case "missing":
          return [];
        case "bad line":
          return [
            {
              type: "text",
              id,
              status: "failed",
              error: { code: "unreadable_line", message: "its result cannot be read" },
            },
          ];
        case "twice":
          return [reply(id), reply(id)];
        case "twice, once failed":
          return [fail("The server had an error", 500), reply(id)];
        case "beside an unknown":
          return [reply(`unknown-${id}`), reply(id)];
        case "answered":
          return [reply(id)];
      }
    });
    return (batch.fate.isReversed ? lines.toReversed() : lines).flat();
  }

  /** Whether anybody could ever get a call's answer out of it. */
  isDeliverable(batch: Batch, key: string): boolean {
    if (batch.isQueueFull || this.#damage(batch) !== "none") return false;
    const lines = this.#lines(batch);
    const broken = lines.findIndex((line) => line instanceof Error);
    return (broken < 0 ? lines : lines.slice(0, broken)).some(
      (line) => !(line instanceof Error) && line.id === key && !isUnreadable(line),
    );
  }

  /** Whether only its user can say what is to become of it. */
  isHopeless(id: string): boolean {
    const batch = this.batches.find((known) => known.id === id);
    return !!batch && (this.#damage(batch) !== "none" || this.#lines(batch).some((line) => line instanceof Error));
  }

  get isAtWork(): boolean {
    return this.batches.some((batch) => !this.#isEnded(batch));
  }

  #status(batch: Batch): BatchStatus {
    const { flavour } = this.#history;
    const isEnded = this.#isEnded(batch);
    const end = this.#endOf(batch);
    const total = batch.keys.length;
    const isKnown = flavour !== "openai" || (this.#time.now >= batch.madeAt + validationMs && end !== "failed");
    const completed = isEnded ? batch.keys.filter((_, index) => this.isBilled(batch, index)).length : 0;
    const answered = isEnded ? batch.keys.filter((_, index) => this.#isAnswered(batch, index)).length : 0;
    const failed = !isEnded ? 0 : flavour === "anthropic" ? total - completed : answered - completed;
    const requestCounts = isKnown
      ? { total, completed, failed, pending: total - completed - failed }
      : { total: 0, completed: 0, failed: 0, pending: 0 };
    const createdAt =
      flavour === "openai" ? new Date(Math.floor(batch.madeAt / 1000) * 1000) : new Date(Math.floor(batch.madeAt));
    const rest = { requestCounts, createdAt: createdAt.toISOString() };
    const error = {
      message: batch.isQueueFull ? "Enqueued token limit reached. Please try again once some have completed." : "Oops",
      code: batch.isQueueFull ? "token_limit_exceeded" : "server_error",
    };
    const raw =
      flavour === "google" ? (state: string) => `BATCH_STATE_${state.toUpperCase()}` : (state: string) => state;
    if (!isEnded)
      return { status: "pending", rawStatus: raw(flavour === "google" ? "running" : "in_progress"), ...rest };
    if (flavour === "anthropic") return { status: "completed", rawStatus: "ended", ...rest };
    if (end === "completed")
      return { status: "completed", rawStatus: raw(flavour === "google" ? "succeeded" : end), ...rest };
    return { status: "failed", rawStatus: raw(end), ...(end === "failed" && { error }), ...rest };
  }

  /** An answer of the provider's: it tells its time, in whole seconds, and what was sent along with a batch, where the protocol keeps such. */
  #answer(process: Process, ...batches: readonly Batch[]): void {
    process.providerNow = Math.floor(this.#time.now / 1000) * 1000;
    for (const { id, mark } of batches)
      if (this.#history.flavour !== "anthropic") process.marks.set(id, mark ?? null);
      else if (!process.marks.has(id)) process.marks.set(id, null); // until its results show it
  }

  #find(batchId: string): Batch {
    const batch = this.batches.find(({ id, madeAt }) => id === batchId && madeAt <= this.#time.now);
    if (!batch || this.#damage(batch) === "vanishes")
      throw this.#error(404, `No batch found with id '${batchId}'.`, "not_found_error");
    return batch;
  }

  #make(
    { requests, headers }: StartOptions,
    lateMs: number,
    request: number,
    isQueueFull: boolean,
    twin?: Batch,
  ): Batch {
    const madeAt = this.#time.now + lateMs;
    const made: Batch = {
      id: `batch${this.batches.length}`,
      keys: requests.map(({ id }) => id),
      fate: twin?.fate ?? this.#history.fates[this.#seen.batches++] ?? plainFate,
      isForeign: false,
      isQueueFull,
      request,
      mark: headers?.["mark"],
      madeAt,
      listedAt: madeAt + lateMs,
      hiddenUntil: this.#time.now + listedAfterMs,
      isNamed: false,
    };
    this.batches.push(made);
    return made;
  }

  async #start(process: Process, options: StartOptions): Promise<StartResult> {
    await process.survive();
    const { uploadMs, outcome, lateMs } = this.#history.starts[this.#seen.starts++] ?? plainStart;
    const { flavour, queueCalls, mostCalls } = this.#history;
    const isInOne = flavour === "anthropic"; // others upload a file before
    if (isInOne) await this.#send(process, options);
    await this.#time.wait(latencyMs + uploadMs);
    if (!isInOne) await this.#send(process, options);
    if (!process.isDead) this.#answer(process);
    const calls = options.requests.length;
    if (!process.isDead && mostCalls !== null && calls > mostCalls)
      throw this.#error(413, "Request too large", "request_too_large");
    const atWork = this.batches
      .filter((batch) => !batch.isForeign && !batch.isQueueFull && !this.#isEnded(batch))
      .reduce((sum, { keys }) => sum + keys.length, 0);
    const isQueueFull = queueCalls !== null && atWork + calls > queueCalls;
    if (isQueueFull && flavour !== "openai") {
      await process.survive();
      throw this.#error(429, "Too many enqueued requests for this model", "rate_limit_error");
    }
    const isMade = /taken|after|twice/.test(outcome);
    const request = this.#seen.requests++;
    let isDying = true;
    process.onDeath.push(() => {
      if (isDying && isMade) this.#make(options, lateMs, request, isQueueFull); // it had all been sent
    });
    await process.survive();
    isDying = false;
    const isAnswered = outcome === "taken" || outcome === "made twice";
    const made = isMade ? this.#make(options, isAnswered ? 0 : lateMs, request, isQueueFull) : undefined;
    if (outcome === "made twice") this.#make(options, 0, request, isQueueFull, made);
    await this.#time.wait(latencyMs);
    if (made && isAnswered) {
      made.hiddenUntil = this.#time.now + listedAfterMs;
      await process.survive();
      let steps = 0;
      process.onNextStep = () => {
        if (++steps === 2) made.isNamed = true; // the transaction that keeps its name is over
      };
      return { batchId: made.id, warnings: [], ...this.#status(made) };
    }
    await process.survive();
    switch (outcome) {
      case "429":
        throw this.#error(429, "Rate limit reached", "rate_limit_error", { "retry-after": "90" });
      case "401":
        throw this.#error(401, "wrong key", "authentication_error");
      case "503":
        throw this.#error(503, "busy", "overloaded_error");
      case "unreachable":
        throw this.#unreachable();
      case "page after":
        throw this.#page();
      case "504 before":
      case "504 after":
        throw this.#error(504, "gateway timeout", "timeout_error");
      case "500 before":
      case "500 after":
        throw this.#error(500, "oops", "api_error");
      default:
        throw this.#reset();
    }
  }

  /** The request that makes a batch leaves: whoever sends it notes that before. */
  async #send(process: Process, { headers }: StartOptions): Promise<void> {
    try {
      process.transport.onSend.get(headers?.["mark"] ?? "")?.();
    } catch (error) {
      if (!(error instanceof Kill)) throw error;
      await never;
    }
  }

  async #getStatus(process: Process, batchId: string): Promise<BatchStatus> {
    await process.survive();
    await this.#time.wait(latencyMs);
    const fault = this.#history.statuses[this.#seen.statuses++] ?? "none";
    await process.survive();
    if (fault === "404") throw this.#error(404, `No batch found with id '${batchId}'.`, "not_found_error");
    this.#answer(process);
    this.#throw(fault);
    const batch = this.#find(batchId);
    this.#answer(process, batch);
    return this.#status(batch);
  }

  #throw(fault: string): void {
    if (fault === "503") throw this.#error(503, "busy", "overloaded_error");
    if (fault === "429") throw this.#error(429, "slow down", "rate_limit_error", { "retry-after": "30" });
    if (fault === "page") throw this.#page();
    if (fault === "reset") throw this.#reset();
  }

  async #list(process: Process, cursor: string | undefined): Promise<ListResult> {
    await process.survive();
    await this.#time.wait(latencyMs);
    const fault = this.#history.lists[this.#seen.lists++] ?? "none";
    await process.survive();
    this.#answer(process);
    this.#throw(fault);
    const { now } = this.#time;
    const listed = this.batches
      .filter((batch) => batch.madeAt <= now && batch.listedAt <= now && this.#damage(batch) !== "vanishes")
      .filter(({ hiddenUntil }) => fault !== "empty" || hiddenUntil <= now)
      .toSorted((a, b) => (this.#history.isOldestFirst ? a.madeAt - b.madeAt : b.madeAt - a.madeAt));
    const from = cursor === undefined ? 0 : listed.findIndex(({ id }) => id === cursor) + 1;
    const page = listed.slice(from, from + this.#history.pageSize);
    this.#answer(process, ...page);
    const last = page.at(-1);
    return {
      batches: page.map((batch): ListItem => ({ batchId: batch.id, ...this.#status(batch) })),
      ...(last && from + page.length < listed.length && { nextCursor: last.id }),
    };
  }

  async #getResults(process: Process, batchId: string): Promise<ReadableStream<ItemResult>> {
    await process.survive();
    await this.#time.wait(latencyMs);
    const fault = this.#history.results[this.#seen.results++] ?? "none";
    await process.survive();
    this.#throw(fault);
    const batch = this.#find(batchId);
    if (!this.#isEnded(batch))
      throw new InvalidArgumentError({ argument: "batchId", message: `Batch "${batchId}" is not complete.` });
    const damage = this.#damage(batch);
    if (fault === "no files yet" || damage === "no files")
      throw new InvalidResponseDataError({ data: {}, message: `Batch "${batchId}" completed without batch output.` });
    if (damage === "results unreadable") throw this.#error(500, "The file cannot be read", "api_error");
    const lines = this.#lines(batch);
    const isCut = fault === "cut" || fault === "cut in silence";
    const rest = isCut ? lines.slice(0, Math.floor(lines.length / 2)) : lines;
    if (fault === "cut") rest.push(Object.assign(new TypeError("terminated"), { cause: this.#reset().cause }));
    return new ReadableStream<ItemResult>(
      {
        pull: async (controller) => {
          await process.survive();
          const next = rest.shift();
          if (next === undefined) controller.close();
          else if (next instanceof Error) controller.error(next);
          else {
            this.#note(next);
            if (this.#history.flavour === "anthropic" && batch.mark !== undefined && !next.id.startsWith("unknown-"))
              process.marks.set(batch.id, batch.mark);
            controller.enqueue(next);
          }
        },
      },
      { highWaterMark: 0 },
    );
  }

  #note(item: ItemResult): void {
    if (item.status !== "failed" || item.error.statusCode !== 400) return;
    const said = this.said.get(item.id) ?? new Set();
    said.add(/safety/.test(item.error.message) ? "refused" : "failed");
    this.said.set(item.id, said);
  }

  /** Whether a call was billed once, and its reply never to be had. */
  isLost(key: string): boolean {
    return this.batches.some((batch) => {
      const index = batch.keys.indexOf(key);
      return index >= 0 && this.isBilled(batch, index) && !this.isDeliverable(batch, key);
    });
  }

  /** Batches in which a call came to nothing. */
  roundsFor(key: string): number {
    return this.batches.filter(
      (batch) => batch.keys.includes(key) && !batch.isQueueFull && !this.isDeliverable(batch, key),
    ).length;
  }

  /** How a process reaches it. */
  apiFor(process: Process): BatchV4 {
    return {
      specificationVersion: "v4",
      provider: this.#history.flavour,
      supportedUrls: {},
      doStartBatch: (options) => this.#start(process, options),
      doGetBatchStatus: ({ batchId }) => this.#getStatus(process, batchId),
      doGetBatchResults: ({ batchId }) => this.#getResults(process, batchId),
      doListBatches: ({ cursor }) => this.#list(process, cursor),
    };
  }
}

function isUnreadable(line: ItemResult): boolean {
  return line.status === "failed" && line.error?.code === "unreadable_line";
}

function reply(id: string): ItemResult {
  return {
    type: "text",
    id,
    status: "succeeded",
    result: {
      content: [{ type: "text", text: textFor(id) }],
      finishReason: { unified: "stop", raw: "stop" },
      usage: {
        inputTokens: { total: usage.inputTokens, noCache: usage.inputTokens, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: usage.outputTokens, text: usage.outputTokens, reasoning: 0 },
      },
      warnings: [],
    },
  };
}

// --- a history ---

/** What must hold at a history's end, and does not. */
export interface Violation {
  readonly rule: "ends" | "outcome" | "billed once" | "money" | "size" | "throws";
  readonly detail: string;
}

const purse = "run";
const mostRepeats = 60;
const repeatGapMs = 600_000;
const longestWaitMs = 6 * 3_600_000; // then whoever waits looks another time
const stuckAfter = 4; // commands that changed nothing

const ask = (text: string): ModelRequest => ({
  messages: [{ role: "user", text }],
  sampling: { temperature: 0, maxOutputTokens: 100 },
});

function modelFor(flavour: Flavour, api: BatchV4, transport: BatchTransport): ChatModel {
  const language: LanguageModelV4 = {
    specificationVersion: "v4",
    provider: flavour,
    modelId: "simulated",
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error("nothing is asked directly here")),
    doStream: () => Promise.reject(new Error("nothing is asked directly here")),
  };
  return modelOf(language, { price, batches: { api, transport, mostCalls: 50_000, mostBytes: 200e6, price } });
}

/** Lives a history to its end. Gives what does not hold then, and the provider's books. */
export async function live(history: History): Promise<{
  readonly violations: readonly Violation[];
  readonly provider: Provider;
  readonly log: readonly string[];
}> {
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "alpagasus-history-"));
  try {
    return await liveIn(join(folder, "calls.sqlite"), history);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function liveIn(path: string, history: History): ReturnType<typeof live> {
  const time = new Timeline();
  const provider = new Provider(history, time);
  const violations: Violation[] = [];
  const log: string[] = [];
  const requests = Array.from({ length: history.rows }, (_, i) => ask(`row ${i}`));
  const keys = requests.map((request) => requestKey(`${history.flavour}:simulated`, request));

  const command = async (how: Command) => {
    if (how.afterMs > 0) await time.wait(how.afterMs);
    const process = new Process(path, how, time, history.flavour);
    const asker = new BatchAsker(modelFor(history.flavour, provider.apiFor(process), process.transport), {
      store: process.store,
      purse,
      batchSize: history.batchSize,
      wait: how.isWaiting,
      signal: process.interruption.signal,
      listedAfterMs,
      clock: process.clock,
    });
    time.at(time.now + longestWaitMs, () => process.interruption.abort());
    const work = async () => {
      try {
        if (how.looksFirst) await asker.fetchEnded();
        await asker.ask(async function* () {
          yield requests;
        });
      } catch (error) {
        if (!process.isDead) violations.push({ rule: "throws", detail: String(error) });
      }
    };
    await Promise.race([work(), process.died]);
    process.end();
    log.push(process.isDead ? "killed" : (asker.failure?.message ?? asker.stopped ?? "done"));
  };
  const run = async (group: readonly Command[]) => {
    try {
      await time.passUntil(Promise.all(group.map(command)));
    } catch (error) {
      violations.push({ rule: "ends", detail: String(error) });
    }
  };
  const look = <T>(at: (store: CallStore) => T): T => {
    using store = new CallStore(path, { readOnly: true });
    return at(store);
  };
  const isSettled = (store: CallStore) =>
    keys.every((key) => store.stateOf(key) !== undefined) && store.batches.open().length === 0;

  for (const group of history.commands) {
    await run(group);
    time.now += history.gapMs;
  }
  // From here on the same command again and again, as a patient user would, until nothing is left.
  let repeats = 0;
  let unchanged = 0;
  let before = "";
  while (!look(isSettled) && violations.length === 0) {
    await run([{ ...plainCommand, isWaiting: repeats % 2 === 0 }]);
    time.now += repeatGapMs;
    const now = look((store) =>
      JSON.stringify([
        keys.map((key) => store.stateOf(key)),
        store.batches.open(),
        provider.batches.filter(({ isQueueFull }) => !isQueueFull).length,
      ]),
    );
    unchanged = now === before && !provider.isAtWork ? unchanged + 1 : 0;
    before = now;
    if (++repeats >= mostRepeats) violations.push({ rule: "ends", detail: `not after ${repeats} commands: ${now}` });
    if (unchanged < stuckAfter) continue;
    const hopeless = look((store) =>
      store.batches.open().filter(({ providerId }) => providerId !== null && provider.isHopeless(providerId)),
    );
    if (hopeless.length === 0) violations.push({ rule: "ends", detail: `stuck: ${log.at(-1)}` });
    else {
      forgetBatches(
        hopeless.map(({ id }) => id),
        { store: path },
      );
      log.push(`forgotten: ${hopeless.map(({ providerId }) => providerId).join(", ")}`);
      unchanged = 0;
    }
  }
  if (violations.length > 0) return { violations, provider, log };
  time.now += 86_400_000; // every bill is in

  // Every row has the outcome that its provider gave.
  look((store) => {
    for (const key of keys) {
      const stored = store.find(key)!;
      const isFounded =
        stored.state === "replied"
          ? stored.text === textFor(key)
          : provider.said.get(key)?.has(stored.state) ||
            (stored.state === "failed" && (provider.roundsFor(key) >= 3 || provider.isLost(key)));
      if (!isFounded)
        violations.push({
          rule: "outcome",
          detail: `${stored.state} (${stored.detail}), which its provider never said`,
        });
    }
  });
  const largest = Math.max(
    0,
    ...provider.batches.filter(({ isForeign }) => !isForeign).map((batch) => batch.keys.length),
  );
  if (largest > history.batchSize)
    violations.push({
      rule: "size",
      detail: `a batch of ${largest} calls, and no more than ${history.batchSize} were allowed`,
    });
  // No row was billed twice that could have been had for one bill; what the provider doubled counts once.
  const billed = new Map<string, Map<number, boolean>>();
  for (const batch of provider.batches.filter(({ isForeign }) => !isForeign))
    for (const [index, key] of batch.keys.entries())
      if (provider.isBilled(batch, index)) {
        const bills = billed.get(key) ?? new Map<number, boolean>();
        bills.set(batch.request, (bills.get(batch.request) ?? true) && provider.isDeliverable(batch, key));
        billed.set(key, bills);
      }
  let bill = 0;
  let twice = 0;
  for (const bills of billed.values()) {
    bill += bills.size * cost;
    if ([...bills.values()].filter(Boolean).length > 1) twice++;
  }
  if (twice > 0) violations.push({ rule: "billed once", detail: `${twice} of ${history.rows} rows were billed twice` });
  const { paid, perhapsPaid, reserved } = look((store) => store.purse(purse));
  if (reserved !== 0) violations.push({ rule: "money", detail: `${reserved} are still reserved` });
  if (paid > bill) violations.push({ rule: "money", detail: `paid ${paid}, and the bill is ${bill}` });
  if (bill > paid + perhapsPaid)
    violations.push({
      rule: "money",
      detail: `the bill is ${bill / cost} replies, paid ${paid / cost}, perhaps paid ${perhapsPaid / cost}`,
    });
  return { violations, provider, log };
}
