import { dirname } from "node:path";
import { styleText } from "node:util";
import { formatCount, formatNumbered, formatP, formatShare } from "../../format.ts";
import { seesOrder } from "../../run/judge-kind.ts";
import { conclude, countPrompts, describeP } from "../../comparison/conclude.ts";
import type { ComparisonRecord, ComparisonSummary } from "../../run/records/comparison.ts";
import type { RankedArm } from "../../comparison/ranking.ts";
import { runFlag } from "../../run/run-folder.ts";
import { plainText } from "./plain-text.ts";
import { renderTrust } from "./trust.ts";
import { warningOf, weighComparison } from "../../health/trust.ts";
import { renderCalls, renderWarnings } from "./rating.ts";
import { renderTable } from "./table.ts";

const bars = 24;

type Figure = ComparisonRecord["winningScore"];

/** What `compare` prints for two arms. */
export function renderComparison(summary: ComparisonSummary, { isAlone = true } = {}): string {
  const { pooled, sets, categories, difficulties = [] } = summary;
  const [a, b, judge] = [summary.a, summary.b, summary.judge].map(plainText) as [string, string, string];
  const groups = sets.length > 1 ? [...sets, pooled] : [pooled];
  const trust = weighComparison(summary);
  const lines = [
    `\n${styleText("bold", `${a} against ${b}`)}, ${countPrompts(pooled)}, judged by ${judge}${summary.question ? ` with the rubric ${summary.question.rubric}` : ""}`,
    ...summary.notes.map((note) => `  note: ${plainText(note)}`),
    `\n  ${plainText(conclude(summary, warningOf(trust)))}`,
    `${renderTrust(trust)}\n`,
    renderTable(
      ["", "wins – ties – losses", "win", "tie", "lose", "undecided", "winning score", "95 % interval", "test"],
      ["left", "left", "right", "right", "right", "right", "right", "left", "left"],
      groups.map(renderGroup),
    ),
    "",
    ...renderReach(pooled),
    ...renderOrders(summary),
    ...renderLength(a, b, pooled),
  ];
  if (categories.length > 0) lines.push("", renderCategories("category", categories, sets.length > 1));
  if (difficulties.length > 0) lines.push("", renderCategories("difficulty", difficulties, sets.length > 1));
  for (const { with: other, pairs, share, kappa, correlation } of summary.agreement)
    lines.push(
      `  agreement with ${plainText(other)} on ${formatCount(pairs)} pairs: ${percent(share)} identical outcomes, kappa ${figure(kappa)} ${interval(kappa)}, correlation ${figure(correlation)}`,
    );
  if (summary.calls)
    lines.push(...renderCalls(summary.calls, { pending: summary.states["pending"] ?? 0 }, "verdicts", { isAlone }));
  lines.push(...renderWarnings([], summary.gates));
  if (summary.verdictsPath !== undefined) lines.push(`\n  verdicts  ${plainText(summary.verdictsPath)}`);
  return `${lines.join("\n")}\n`;
}

function renderGroup(record: ComparisonRecord): string[] {
  const { group, counts, winningScore } = record;
  return [
    plainText(group),
    renderBar(counts),
    formatCount(counts.win),
    formatCount(counts.tie),
    formatCount(counts.lose),
    formatCount(counts.undecided),
    figure(winningScore, 3),
    interval(winningScore, 3),
    describeP(record).replace(/corrected for \d+ comparisons/, "corrected"),
  ];
}

function renderBar({ win, tie, lose }: ComparisonRecord["counts"]): string {
  const total = win + tie + lose;
  if (total === 0) return "";
  const wins = Math.round((bars * win) / total);
  const losses = Math.round((bars * lose) / total);
  return `${"█".repeat(wins)}${"▒".repeat(Math.max(0, bars - wins - losses))}${"░".repeat(losses)}`;
}

/** Says what the pooled interval covers. */
function renderReach({ withoutOneSet }: ComparisonRecord): string[] {
  if (!withoutOneSet) return [];
  const { low, high } = withoutOneSet;
  return [
    `  scope   the pooled interval covers new prompts from these sets, not other sets; with one set left out, the winning score is ${low.winningScore.toFixed(3)} (without ${plainText(low.set)}) to ${high.winningScore.toFixed(3)} (without ${plainText(high.set)})`,
  ];
}

/** How far the judge depends on the order, and which verdicts are missing. */
function renderOrders(summary: ComparisonSummary): string[] {
  const { pooled, states, calls, verdictsPath } = summary;
  const { orders, identical } = pooled;
  const lines: string[] = [];
  const isOrdered = seesOrder(summary.judge);
  if (isOrdered && orders.pairs > 0)
    lines.push(
      `  orders  the judge contradicts itself in ${percent(orders.flipRate)} ${shareInterval(orders.flipRate)} of ${formatNumbered(orders.pairs, "pair", "pairs")} when the order is swapped (A in one, B in the other)`,
    );
  if (isOrdered && orders.first + orders.second > 0)
    lines.push(
      `          it prefers the answer shown first ${formatCount(orders.first)} times, the second ${formatCount(orders.second)} times (${percent(orders.firstShare)} ${shareInterval(orders.firstShare)} first), neither ${formatCount(orders.draws)} times`,
    );
  if (identical > 0)
    lines.push(`  same    ${formatCount(identical)} pairs of identical answers are ties, without calling the judge`);
  const unread = Object.entries(states).filter(([state]) => state !== "judged");
  if (unread.length > 0) {
    const flag = verdictsPath === undefined ? "" : runFlag(dirname(dirname(verdictsPath))); // they lie in the run's verdicts/
    const readable = unread.map(([name]) => name).filter((name) => name !== "pending" && name !== "failed"); // which have no replies
    const one = readable.length === 1 ? ` --state ${readable[0]}` : "";
    const hint = calls && readable.length > 0 ? `; alpagasus replies --verdicts${one}${flag} shows them` : "";
    const counts = unread.map(([state, number]) => `${formatCount(number)} ${state}`).join(", ");
    lines.push(`  unread  ${counts} (of two verdicts a pair, one for each order${hint})`);
  }
  return lines;
}

function renderLength(a: string, b: string, record: ComparisonRecord): string[] {
  const { length, winRate, gradedWinRate, relativeScore, counts, identical } = record;
  const graded = gradedWinRate ? `, graded ${percent(gradedWinRate)} ${shareInterval(gradedWinRate)}` : "";
  const lines: string[] = [];
  if (length) {
    const longer =
      length.longerWins.value === null
        ? ""
        : `; the longer answer wins ${percent(length.longerWins)} ${shareInterval(length.longerWins)} of the decided pairs that are not tied`;
    lines.push(
      `  length  ${a} ${formatCount(length.meanA)} characters on average, ${b} ${formatCount(length.meanB)}${longer}`,
      `          win rate ${percent(winRate)} ${shareInterval(winRate)}${graded}, at equal length ${percent(length.controlledWinRate)} ${shareInterval(length.controlledWinRate)}${length.controlledWinRate.value === null ? "" : ", if this judge likes length as much as GPT-4-turbo does"}`,
    );
  } else lines.push(`  win rate ${percent(winRate)} ${shareInterval(winRate)}${graded}`);
  if (relativeScore)
    lines.push(
      `  scores  ${a} gets ${percent(relativeScore)} ${shareInterval(relativeScore)} of the total score of ${b}${identical > 0 ? `, without the ${formatNumbered(identical, "pair", "pairs")} of identical answers` : ""}${outweighs(relativeScore, counts) ? ": a few large losses outweigh more narrow wins, or the other way round" : ""}`,
    );
  return lines;
}

/** Whether total scores and wins favour different sides. */
function outweighs({ value }: Figure, { win, lose }: ComparisonRecord["counts"]): boolean {
  return value !== null && (value - 1) * (win - lose) < 0;
}

function renderCategories(
  label: "category" | "difficulty",
  categories: ComparisonSummary["categories"],
  hasSets: boolean,
): string {
  return renderTable(
    [
      ...(hasSets ? ["set"] : []),
      label,
      "win",
      "tie",
      "lose",
      "winning score",
      "95 % interval",
      "p",
      "corrected",
      "relative score",
    ],
    [
      ...(hasSets ? (["left"] as const) : []),
      "left",
      "right",
      "right",
      "right",
      "right",
      "left",
      "left",
      "left",
      "right",
    ],
    categories.map(({ set, group, counts, winningScore, relativeScore, pValue, adjusted }) => [
      ...(hasSets ? [plainText(set)] : []),
      plainText(group),
      formatCount(counts.win),
      formatCount(counts.tie),
      formatCount(counts.lose),
      figure(winningScore, 3),
      interval(winningScore, 3),
      formatP(pValue),
      adjusted ? formatP(adjusted.pValue) : "",
      relativeScore ? percent(relativeScore) : "-",
    ]),
  );
}

/** What `compare --all-pairs` prints for several arms. */
export function renderRanking(ranking: readonly RankedArm[]): string {
  const table = renderTable(
    ["", "arm", "against an average arm", "95 % interval", "decided pairs"],
    ["right", "left", "right", "left", "right"],
    ranking.map(({ arm, rank, winRate, decided }) => [
      String(rank),
      plainText(arm),
      percent(winRate),
      shareInterval(winRate),
      formatCount(decided),
    ]),
  );
  return `\n${styleText("bold", "Ranking")} (Bradley-Terry)\n${table}\n`;
}

function figure({ value }: Figure, digits = 2): string {
  return value === null ? "-" : value.toFixed(digits);
}

function interval({ low, high }: Figure, digits = 2): string {
  return low === null || high === null ? "" : `[${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
}

function shareInterval({ low, high }: Figure): string {
  return low === null || high === null ? "" : `[${formatShare(low)}, ${formatShare(high)}]`;
}

function percent({ value }: Figure): string {
  return value === null ? "-" : formatShare(value);
}
