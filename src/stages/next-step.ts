import { isModelName } from "../llm/model-name.ts";
import type { CheckedJudge } from "../run/judge-checks.ts";
import type { FileStates } from "../run/file-states.ts";
import type { Manifest, RatedManifest } from "../run/manifest.ts";
import type { ArmState } from "../run/records/arm.ts";
import type { DatasetRecord } from "../run/records/dataset.ts";
import type { ExperimentResult } from "../run/records/experiment.ts";
import type { RateSummary } from "../run/records/rating.ts";
import type { RunFolder } from "../run/run-folder.ts";
import { formatNumbered, formatScore } from "../format.ts";
import { shellWord } from "../shell-word.ts";
import { commandHere, withFlag, withoutLimit } from "../run/command-here.ts";

/*
 * The command that `status` proposes: as it is to be typed here, with every option that was given.
 */

/** What comes next where no row is rated. */
export function nextOfUnrated(
  {
    run,
    manifest,
    answers,
    comparisons,
    checked,
    isOpen,
  }: {
    readonly answers: readonly { readonly arm: string }[];
    readonly comparisons: readonly { readonly judge: string; readonly failed: readonly unknown[] }[];
    readonly run: RunFolder;
    readonly manifest: Manifest | undefined;
    readonly checked: readonly CheckedJudge[];
    /** Whether something was begun and is not done. */
    readonly isOpen: boolean;
  },
  flag: string,
): string {
  const last = checked.toSorted((a, b) => (a.at < b.at ? -1 : 1)).at(-1);
  if (last?.checks.some(({ held, isUnknown }) => !held && !isUnknown))
    return `alpagasus check-judge${flag} with another --judge or --rubric, since ${last.judge} failed its check`;
  if (isOpen && checked.length > 0)
    return `alpagasus rate DATA${flag}; a command that was stopped goes on where it stopped`;
  const spent = Object.values(manifest?.comparisons ?? {}).find(({ calls }) => calls?.stopped === "budget");
  if (isOpen && spent)
    return `${typedHere(spent, run) ?? "the same command"}, with a higher --budget: this one does not bear the rest`;
  const open = Object.values(manifest?.comparisons ?? {}).find(({ calls }) => calls?.stopped !== undefined);
  if (isOpen) return typedHere(manifest?.rate ?? open, run) ?? "the same command again; it continues where it stopped";
  if (comparisons.length > 0) {
    const left = comparisons.some(({ failed }) => failed.length > 0) ? "" : "nothing is left to do; ";
    return comparisons.some(({ judge }) => isModelName(judge))
      ? `${left}to see what the judge said: alpagasus replies --verdicts${flag}`
      : `${left}to see the pairs: alpagasus view${flag}`;
  }
  return answers.length > 1
    ? `alpagasus compare ${answers[0]!.arm} ${answers[1]!.arm}${flag}`
    : `alpagasus rate DATA${flag}`;
}

/** Whether calls failed that were not tried again. */
export function wantsRetry({ states, unasked = 0, command }: RateSummary): boolean {
  return (states.failed ?? 0) > unasked && !/ --retry-failed(?: |$)/.test(command ?? "");
}

/** Whether some row is more than a question and its answer; of older runs, by the shape alone. */
function isOfChats({ hasChats, shape }: DatasetRecord): boolean {
  return hasChats ?? /^(?:messages|sharegpt|conversation|dialog|prompt-messages|ultrachat|oasst)$/.test(shape);
}

/** What comes next where rows are rated. */
export function nextStep(
  run: RunFolder,
  manifest: RatedManifest,
  { arms, dataset, ratings, scores }: FileStates,
  flag: string,
): string {
  const { judge, question, calls, command, panel } = manifest.rate;
  const names = panel?.judges.map((one) => one.judge) ?? (judge.startsWith("escalate(") ? [] : [judge]);
  const judges = names.map((one) => ` --judge ${shellWord(one)}`).join("");
  const typed = typedHere(manifest.rate, run, manifest.dataset.workingFolder);
  const { failed = 0, refused = 0 } = manifest.rate.states;
  const missed = manifest.rate.gates.find(({ held }) => !held);
  const mayRetry =
    wantsRetry(manifest.rate) && calls?.hasRetried !== true && (missed !== undefined || arms.length === 0);
  if (command !== undefined && /^alpagasus merge\b/.test(command)) {
    const again = typedWith(manifest.rate, "--overwrite", run, manifest.dataset.workingFolder);
    if (dataset !== "present") return `put back the data, or rate the shards again; then ${again}`;
    if (calls?.stopped !== undefined)
      return `the command of each shard that was stopped, with a higher --budget where that stopped it; then ${again}`;
    if (calls && mayRetry) return `the commands of the shards with --retry-failed; then ${again}`;
  }
  if (dataset === "missing")
    return `alpagasus rate PATH${flag}${judges}, with the path that ${manifest.dataset.source} has now, and the other options of the rating: ${command ?? "as before"}`;
  if (calls?.stopped === "budget" && dataset === "present" && ratings === "present" && typed !== undefined)
    return `${typed}, ${calls.batchedUsd === undefined ? "" : "when the batches at the provider have ended, or "}with a higher --budget: this one does not bear the rest`;
  if (calls?.stopped || dataset !== "present" || ratings !== "present")
    return (
      typed ?? // with every option that was given: a budget that is left out is none
      `alpagasus rate ${sourcesOf(manifest.dataset)}${judges}${question?.rubric === undefined ? "" : ` --rubric ${question.rubric}`}${flag}`
    );
  const lost = Object.entries(manifest.scores ?? {}).find(([name]) => scores.get(name) !== "present");
  if (lost?.[1].command !== undefined) return typedHere(lost[1], run, manifest.dataset.workingFolder)!;
  if (manifest.rate.shard) return `alpagasus merge RUN... --run runs/all`; // when all shards are done
  if (manifest.experiment) return ended(manifest.experiment);
  const isToRetry = calls !== undefined && mayRetry && command !== undefined;
  if (manifest.rate.coverage === 0 && !isToRetry)
    return calls
      ? `alpagasus replies${flag}, since no row has a score; then rate with another --rubric or --judge`
      : `alpagasus rate ${sourcesOf(manifest.dataset)}${flag} --overwrite with another --judge, since no row has a score`;
  if (manifest.rate.limit && command !== undefined && arms.length === 0 && manifest.rate.coverage > 0)
    return `${typedHere({ ...manifest.rate, command: withoutLimit(command) }, run, manifest.dataset.workingFolder)}, which goes on with the other rows`;
  if (isToRetry)
    return `${typedWith(manifest.rate, "--retry-failed", run, manifest.dataset.workingFolder)}, since ${formatNumbered(failed, "row has", "rows have")} no score because its call failed`;
  if (calls && missed && refused > 0)
    return `alpagasus replies --state refused${flag}, since a gate does not hold: ${missed.message}`;
  if (manifest.rate.escalation && arms.length === 0)
    return `alpagasus select --min-score ${formatScore(manifest.rate.escalation.minScore)}${flag}`; // its estimates are about this cut
  const isDrawn = ({ method }: ArmState) => method === "random" || method === "longest";
  const selected = arms.find((arm) => arm.arm === "selected" && !isDrawn(arm));
  const again = (arm: ArmState | undefined, usual: string) =>
    (arm && typedHere(arm, run, manifest.dataset.workingFolder)) ?? usual;
  if (!selected || selected.isStale || selected.state !== "present")
    return again(selected, `alpagasus select --top 20%${flag}`);
  const isTaken = arms.some((arm) => arm.arm === "random" && arm.method !== "random");
  const random = arms.find((arm) => arm.method === "random" && (arm.controls?.arm ?? "selected") === "selected");
  if (!random || random.isStale || random.state !== "present" || random.rows !== selected.rows)
    return again(
      random?.controls && random,
      `alpagasus select --method random${isTaken ? " --arm control" : ""}${flag}`,
    );
  if (!manifest.models)
    return `alpagasus train --recipe ${isOfChats(manifest.dataset) ? "alpagasus2-qlora-7b --template chat" : "paper-7b"} --dry-run${flag}: ${selected.path} and its control are ready to train on`;
  const { models, answers = {}, comparisons } = manifest;
  const trained = new Set(Object.values(models).map(({ arm }) => arm));
  if (!trained.has(random.arm)) return `alpagasus train --arm ${random.arm}${flag}, with the recipe of the others`;
  const [one, other] = Object.keys(answers);
  if (other === undefined)
    return `alpagasus generate --model ${Object.keys(models).find((model) => !answers[model]) ?? Object.keys(models)[0]!}${flag}`;
  if (!comparisons) return `alpagasus compare ${one} ${other}${flag}`;
  return `nothing: ${selected.path} and its control are there, and ${Object.keys(models).join(", ")} trained`;
}

/** A task's command as it is to be typed here; undefined where a program called it. */
function typedHere(
  task: { readonly command?: string | undefined; readonly commandFolder?: string | undefined } | undefined,
  run: RunFolder,
  folder?: string,
): string | undefined {
  return task?.command === undefined ? undefined : commandHere(task.command, run, task.commandFolder ?? folder);
}

/** The same with a flag. */
function typedWith(
  task: { readonly command?: string | undefined; readonly commandFolder?: string | undefined },
  flag: string,
  run: RunFolder,
  folder?: string,
): string {
  return typedHere({ ...task, command: withFlag(task.command!, flag) }, run, folder)!;
}

/** A dataset's sources and how they are read, as arguments of `rate`. */
function sourcesOf({ source, sources, map, quotes }: DatasetRecord): string {
  const all = sources?.map((one) => one.source) ?? [source];
  return [
    ...all.map(shellWord),
    ...Object.entries((sources ? undefined : map) ?? {}).map(
      ([field, column]) => `--map ${shellWord(`${field}=${column}`)}`,
    ),
    ...(quotes === undefined ? [] : [`--quotes ${quotes}`]),
  ].join(" ");
}

/** That an experiment needs nothing more. */
export function ended({ name, isPublished }: ExperimentResult): string {
  const again = !isPublished ? "; its command with --dry-run tells whether an input has changed since" : "";
  return `nothing: the experiment ${name} came to its end${again}`;
}
