import { hash } from "node:crypto";
import { readWhole } from "../files/read-file.ts";
import { basename } from "node:path";
import { readVerdicts } from "../comparison/verdicts-file.ts";
import type { PairVerdict, Verdict } from "../comparison/verdict.ts";
import { messageOf } from "../errors.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";
import type { RunFolder } from "../run/run-folder.ts";
import type { PairDetail, PairLine, VerdictReport } from "./contract.ts";
import type { Replies } from "./find-replies.ts";
import { beginningOf } from "./search-terms.ts";
import { searchTextOf, type SearchablePair } from "./select-pairs.ts";

/** A compared pair with its verdicts. */
export interface ReadPair extends SearchablePair {
  readonly verdict: PairVerdict;
}

/** Reads a comparison's pairs from its file in the run's folder. `problem` says if the file is damaged or changed. */
export async function readPairs(
  run: RunFolder,
  key: string,
  { verdictsPath, verdictsHash }: ComparisonSummary,
): Promise<{ readonly pairs: readonly ReadPair[]; readonly problem?: string }> {
  if (verdictsPath === undefined) return { pairs: [] };
  const path = run.verdictsPath(basename(verdictsPath, ".jsonl")); // the run's folder may have moved since this was recorded
  try {
    const verdicts = await readVerdicts(path);
    const isChanged = verdictsHash !== undefined && hash("sha256", await readWhole(path)) !== verdictsHash;
    return {
      pairs: verdicts.map((verdict) => toReadPair(key, verdict)),
      ...(isChanged && {
        problem: `${path}: the verdicts have changed since they were counted: pairs and figures may not match`,
      }),
    };
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : messageOf(error);
    return {
      pairs: [],
      problem: `the pairs of ${key} cannot be shown: ${why.startsWith(path) ? why : `${path}: ${why}`}; bring the file back, or compare again`,
    };
  }
}

function toReadPair(key: string, verdict: PairVerdict): ReadPair {
  const line = toLine(key, verdict);
  return { verdict, line, search: searchTextOf(toDetail({ line, verdict }, undefined)) };
}

function toLine(
  comparison: string,
  { set, id, category, outcome, orders, lengths, instruction }: PairVerdict,
): PairLine {
  return {
    comparison,
    set,
    id,
    category,
    outcome,
    orders: orders.map((verdict) => ({
      said: verdict.state === "judged" ? verdict.winner : verdict.state,
      shownFirst: verdict.shownFirst,
    })),
    lengths,
    instruction: beginningOf(instruction ?? ""),
  };
}

/** A pair with everything known about it. */
export function toDetail(
  {
    line,
    verdict: { instruction, input, answers, orders },
  }: { readonly line: PairLine; readonly verdict: PairVerdict },
  replies: Replies | undefined,
): PairDetail {
  return {
    ...line,
    ...(instruction !== undefined && { instructionText: { text: instruction } }),
    ...(input !== undefined && input !== "" && { inputText: { text: input } }),
    ...(answers && { answers: [{ text: answers[0] }, { text: answers[1] }] }),
    verdicts: orders.map((order) => toVerdictReport(order, replies)),
  };
}

function toVerdictReport(verdict: Verdict, replies: Replies | undefined): VerdictReport {
  const { shownFirst, state, call, reply } = verdict;
  const stored = call === undefined ? undefined : replies?.find(call);
  return {
    reply: reply === undefined ? null : { text: reply },
    call,
    ...stored,
    ...(shownFirst !== undefined && { shownFirst }),
    state,
    ...(verdict.state === "judged"
      ? { winner: verdict.winner, scores: verdict.scores }
      : verdict.detail !== undefined && { detail: verdict.detail }),
  };
}
