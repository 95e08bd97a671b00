import { existsSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { tryParse } from "../files/try-parse.ts";
import { CallStore } from "../llm/call-store.ts";
import { nanosPerUsd } from "../llm/price.ts";
import { costOfTraining } from "./training-attempts.ts";
import type { Manifest } from "./manifest.ts";
import type { RateSummary } from "./records/rating.ts";
import { type RunFolder, readManifest, readPurse } from "./run-folder.ts";
import { RunError } from "../errors.ts";
import { formatUsd } from "../format.ts";

/*
 * What a run has spent over all its commands, in US dollars: on calls, as counted by its purse in the call store, and on
 * trainings, by the hour.
 */

/** The cost of calls. */
export interface SpentOnCalls {
  /** Calls whose replies are in the store; absent if the store is gone. */
  readonly calls?: number;
  /** Null if no call had a known price. */
  readonly paidUsd: number | null;
  /** Replies whose price is not known, so that `paidUsd` does not hold them. */
  readonly unpricedCalls?: number | undefined;
  /** At most this much more may be billed: for attempts whose reply was lost, and calls in flight. */
  readonly perhapsPaidUsd: number;
  readonly store?: string;
}

/** The calls of each of a run's stages as their commands recorded them, the latest first. */
function recordedCalls(manifest: Manifest | undefined): NonNullable<RateSummary["calls"]>[] {
  return [
    manifest?.rate,
    ...Object.values(manifest?.scores ?? {}),
    ...Object.values(manifest?.answers ?? {}),
    ...Object.values(manifest?.comparisons ?? {}),
  ]
    .flatMap((task) => (task?.calls ? [{ startedAt: task.startedAt, calls: task.calls }] : []))
    .toSorted((a, b) => (a.startedAt < b.startedAt ? 1 : -1))
    .map(({ calls }) => calls);
}

function latestCalls(manifest: Manifest | undefined): NonNullable<RateSummary["calls"]> | undefined {
  return recordedCalls(manifest)[0];
}

/**
 * The cost of a run's calls by its purse; if the store that counts it is gone, as recorded by the run's latest command.
 * Undefined if no call was made.
 */
export async function spentOnCalls(run: RunFolder, manifest: Manifest | undefined): Promise<SpentOnCalls | undefined> {
  const recorded = recordedCalls(manifest);
  const purse = await readPurse(run);
  if (!purse || !existsSync(purse.store)) {
    const latest = recorded[0]; // its figures include what was paid before
    return latest && { paidUsd: latest.runPaidUsd, perhapsPaidUsd: latest.runPerhapsPaidUsd };
  }
  using store = new CallStore(purse.store, { readOnly: true });
  const { paid, perhapsPaid, reserved } = store.purse(purse.name);
  const calls = store.callsFrom(purse.name);
  if (calls === 0 && paid + perhapsPaid + reserved === 0 && recorded.length === 0) return undefined;
  const isUnpriced = paid === 0 && recorded.length > 0 && recorded.every(({ priceBasis }) => priceBasis === null);
  return {
    calls,
    paidUsd: isUnpriced ? null : paid / nanosPerUsd,
    unpricedCalls: store.unpricedFrom(purse.name),
    perhapsPaidUsd: (perhapsPaid + reserved) / nanosPerUsd,
    store: purse.store,
  };
}

/**
 * What the replies behind some figures cost, in US dollars, each counted once; 0 where no model was asked, null where no price is known.
 *
 * @param keys of the calls
 */
export async function callsUsd(run: RunFolder, keys: AsyncIterable<string>): Promise<number | null> {
  const purse = await readPurse(run);
  if (!purse) return 0;
  using store = new CallStore(purse.store, { readOnly: true });
  const seen = new Set<string>();
  let nanos = 0;
  for await (const key of keys) {
    if (seen.has(key)) continue;
    seen.add(key);
    const call = store.find(key);
    if (!call || (call.state === "replied" && call.cost === null)) return null; // a reply that is gone is counted nowhere
    nanos += call.cost ?? 0;
  }
  return nanos / nanosPerUsd;
}

/**
 * Before anything is paid: the store that holds what the run has paid, and the replies, must be there. One that was made anew at its path,
 * such as by another run, does not hold them.
 *
 * @throws RunError when the run has paid, and the store at that path, which counted it, is gone
 */
export async function expectSpendingRecord(run: RunFolder, store: string): Promise<void> {
  const purse = await readPurse(run);
  if (!purse || resolve(purse.store) !== resolve(store)) return;
  const latest = latestCalls(await readManifest(run).catch(() => undefined)); // told elsewhere where it is damaged
  const usd = (latest?.runPaidUsd ?? 0) + (latest?.runPerhapsPaidUsd ?? 0);
  if (holdsSpending(store, purse.name) || (usd === 0 && !purse.isEntered)) return;
  const paid = usd > 0 ? ` has paid ${formatUsd(usd)}` : " may have paid";
  throw new RunError(
    `${run.folder}: this run${paid} for replies in ${store}, which is gone or was made anew; bring that file back, use another run with --run DIR, or go on with --forget-spent: it keeps scores that one judge gave (in ratings.jsonl), asks for everything else again, and counts the spending anew`,
  );
}

function holdsSpending(path: string, purse: string): boolean {
  if (!existsSync(path)) return false;
  using store = new CallStore(path, { readOnly: true });
  return store.knowsPurse(purse) || store.callsFrom(purse) > 0;
}

/** The total for a budget. Costs that may be billed count in full; costs without a known price count as 0. */
export async function spentInAll(run: RunFolder): Promise<number> {
  const calls = await spentOnCalls(run, await readManifest(run));
  return (calls?.paidUsd ?? 0) + (calls?.perhapsPaidUsd ?? 0) + (await spentOnTraining(run));
}

/** What a run has paid for sure: without what attempts may cost whose reply was lost. */
export async function paidInAll(run: RunFolder): Promise<number> {
  const calls = await spentOnCalls(run, await readManifest(run));
  return (calls?.paidUsd ?? 0) + (await spentOnTraining(run));
}

/** The cost of all trainings of a run by the hour, including interrupted and replaced ones, in US dollars. */
export async function spentOnTraining({ folder }: Pick<RunFolder, "folder">): Promise<number> {
  const models = join(folder, "models");
  let usd = 0;
  for (const name of await readdir(models).catch(() => [])) usd += await costOfTraining(join(models, name));
  const removed = await readFile(join(models, "removed.jsonl"), "utf8").catch(() => "");
  for (const line of removed.split("\n")) usd += (tryParse(line) as { usd?: number } | undefined)?.usd ?? 0; // as the training stage writes it
  return usd;
}
