import { styleText } from "node:util";
import type { RatedReply, VerdictReply } from "../../stages/replies.ts";
import { formatScore, formatUsd } from "../../format.ts";
import { plainLines, plainText } from "./plain-text.ts";

/** What `replies` prints for one rating. */
export function renderReply(rated: RatedReply): string {
  const { index, id, state, score, detail, judge, number, replies, reply, finish, costUsd } = rated;
  const facts = [
    score === null
      ? `${state}${detail === null || reply === null ? "" : ` (${plainText(detail.split(": ", 1)[0]!)})`}`
      : formatScore(score),
    ...(finish === null || finish === "stop" ? [] : [`ended by ${finish}`]),
    ...(costUsd === null ? [] : [formatUsd(costUsd)]),
  ];
  const title = styleText(
    "bold",
    `\nrow ${index}${id === undefined ? "" : ` (${plainText(id)})`}${judge === undefined ? "" : `, by ${plainText(judge)}`}${number === undefined ? "" : `, reply ${number} of ${replies}`}`,
  );
  const said = reply === null ? (detail ?? "no reply") : reply === "" ? "(an empty reply)" : reply;
  return `${title}: ${facts.join(", ")}\n${plainLines(said).replace(/^/gm, "  ")}\n`;
}

/** What `replies --verdicts` prints for the verdict in one order. */
export function renderVerdictReply({
  comparison,
  set,
  id,
  shownFirst,
  state,
  winner,
  scores,
  detail,
  reply,
  costUsd,
}: VerdictReply): string {
  const reason = detail === null || reply === null ? "" : ` (${plainText(detail.split(": ", 1)[0]!)})`;
  const facts = [
    winner === null ? `${state}${reason}` : winner === "draw" ? "a draw" : `${winner} is better`,
    ...(scores ? [`A ${formatScore(scores.A)}, B ${formatScore(scores.B)}`] : []),
    ...(costUsd === null ? [] : [formatUsd(costUsd)]),
  ];
  const order = shownFirst === null ? "" : `, ${shownFirst} shown first`;
  const title = styleText("bold", `\n${plainText(comparison)}: set ${plainText(set)}, id ${plainText(id)}${order}`);
  const said = reply === null ? (detail ?? "no reply") : reply === "" ? "(an empty reply)" : reply;
  return `${title}: ${facts.join("; ")}\n${plainLines(said).replace(/^/gm, "  ")}\n`;
}
