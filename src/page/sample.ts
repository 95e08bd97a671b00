import type {
  EmbeddedReport,
  LeftOut,
  PageText,
  PairDetail,
  RowDetail,
  RowQuery,
  RunReport,
  VerdictReport,
} from "./contract.ts";
import { bytesInHtml, pageBytes } from "./html.ts";
import type { OpenRun } from "./open-run.ts";
import { mapTexts } from "./show-turns.ts";
import { differs, isUnread } from "./select-pairs.ts";

/*
 * The rows and pairs embedded in a report: a sample of bounded size. Failures and what judges disagree about come first,
 * then rows around the cuts, then some rows at every score, so that every threshold has examples near it.
 */

const wholeBytes = 2_900_000; // of the whole HTML
const rowShare = 0.55; // of the space left by page and figures, if there are pairs too
const textLimit = 1_500; // characters of a text
const nameLimit = 200; // characters of an id, a category or a reason
const perCut = 15; // rows on each side of an arm's cut
const disagreements = 150;
const perEdge = 3; // rows at each score or score step
const longest = 30; // rows with the longest outputs
const everyRow = 1_000_000; // limited only by space
const batch = 200;

/** Share of the rows' space that may be full after each kind of rows, earlier kinds included. */
const until = { unscored: 0.4, disagreements: 0.55, cuts: 0.65, edges: 0.95, rest: 1 };

/** Collects everything that goes into the HTML. */
export async function embed(run: OpenRun, report: RunReport): Promise<EmbeddedReport> {
  const cutter = new Cutter();
  const room = Math.max(0, wholeBytes - (await pageBytes()) - bytesInHtml(report));
  const hasPairs = report.comparisons.length > 0;
  const rows = await sampleRows(run, report, cutter, hasPairs ? rowShare * room : room);
  const pairs = await samplePairs(run, cutter, room - bytesInHtml(rows));
  const total = report.scores?.rows ?? 0;
  const unscored = total - (report.scores?.states.scored ?? 0);
  const leftOut: LeftOut = {
    rows: Math.max(0, total - rows.length),
    unscored: Math.max(0, unscored - rows.filter(({ state }) => state !== "scored").length),
    pairs: pairs.leftOut,
    contradictory: pairs.doubtful,
    cutTexts: cutter.count,
    textLimit,
  };
  return { kind: "report", report, rows, pairs: pairs.pairs, leftOut };
}

async function sampleRows(
  run: OpenRun,
  { scores, arms }: RunReport,
  cutter: Cutter,
  room: number,
): Promise<RowDetail[]> {
  const found = new Map<number, RowDetail>();
  let bytes = 0;
  const take = async (query: RowQuery, most: number, share: number): Promise<void> => {
    for (let offset = 0; offset < most && bytes < share * room; offset += batch) {
      const rows = await run.wholeRows({ ...query, offset, limit: Math.min(batch, most - offset) });
      for (const whole of rows) {
        if (found.has(whole.index)) continue;
        const row = cutRow(whole, cutter);
        const more = bytesInHtml(row) + 1;
        if (bytes + more > share * room) return;
        found.set(row.index, row);
        bytes += more;
      }
      if (rows.length < batch) return;
    }
  };
  await take({ state: "unscored" }, everyRow, until.unscored);
  for (const reference of scores?.references.keys() ?? [])
    await take({ sort: "disagreement", reference, isDescending: true }, disagreements, until.disagreements);
  for (const { cut } of arms) {
    if (cut === null) continue;
    await take({ atLeast: cut, sort: "score" }, perCut, until.cuts);
    await take({ below: cut, sort: "score", isDescending: true }, perCut, until.cuts);
  }
  const edges = scores?.thresholds?.edges ?? [];
  for (const [i, edge] of edges.entries()) {
    const isEmpty = scores!.thresholds!.rows[i] === 0;
    const next = edges[i + 1];
    const here = { atLeast: edge, below: next, sort: "score" as const };
    if (!isEmpty) await take(here, perEdge, until.edges);
  }
  await take({ sort: "length", isDescending: true }, longest, until.rest);
  await take({ state: "unscored" }, everyRow, until.rest);
  await take({}, everyRow, until.rest);
  return [...found.values()].toSorted((a, b) => a.index - b.index);
}

async function samplePairs(
  run: OpenRun,
  cutter: Cutter,
  room: number,
): Promise<{ pairs: PairDetail[]; leftOut: number; doubtful: number }> {
  const pairs: PairDetail[] = [];
  const { pairs: lines } = await run.pairs({ sort: "disagreement", limit: Infinity });
  let bytes = 0;
  let doubtful = 0;
  for (const line of lines) {
    const pair = bytes < room ? await run.pair(line.comparison, line.set, line.id) : undefined;
    const cut = pair && cutPair(pair, cutter);
    const more = cut ? bytesInHtml(cut) + 1 : 0;
    if (cut && bytes + more <= room) {
      pairs.push(cut);
      bytes += more;
    } else if (isUnread(line) || differs(line)) doubtful++;
  }
  return { pairs, leftOut: lines.length - pairs.length, doubtful };
}

/** Cuts long texts and counts them. */
class Cutter {
  count = 0;

  cut(whole: PageText): PageText {
    if (whole.text.length <= textLimit) return whole;
    this.count++;
    const end = endOf(whole.text, textLimit);
    return { text: whole.text.slice(0, end), cut: whole.text.length - end + (whole.cut ?? 0) };
  }

  /** Shortens a one-line text; this is not counted. */
  shorten(name: string): string {
    return name.length <= nameLimit ? name : `${name.slice(0, endOf(name, nameLimit))}…`;
  }
}

/** Where to cut without splitting a surrogate pair. */
function endOf(text: string, limit: number): number {
  const code = text.charCodeAt(limit - 1);
  return code >= 0xd800 && code < 0xdc00 ? limit - 1 : limit;
}

function cutRow(row: RowDetail, cutter: Cutter): RowDetail {
  const { said, id, category, detail, intrusions } = row;
  return {
    ...row,
    instruction: "", // the page takes the beginnings from the full texts
    output: "",
    ...(id !== undefined && { id: cutter.shorten(id) }),
    ...(category !== undefined && { category: cutter.shorten(category) }),
    ...(detail !== undefined && { detail: cutter.shorten(detail) }),
    ...(intrusions && { intrusions: intrusions.map((intrusion) => cutter.shorten(intrusion)) }),
    instructionText: cutter.cut(row.instructionText),
    inputText: cutter.cut(row.inputText),
    outputText: cutter.cut(row.outputText),
    ...(row.conversation && { conversation: mapTexts(row.conversation, (text) => cutter.cut(text)) }),
    ...(said && { said: { ...said, reply: said.reply && cutter.cut(said.reply) } }),
  };
}

function cutPair(pair: PairDetail, cutter: Cutter): PairDetail {
  const { instructionText, inputText, answers, verdicts, category } = pair;
  return {
    ...pair,
    instruction: "",
    ...(category !== undefined && { category: cutter.shorten(category) }),
    ...(instructionText && { instructionText: cutter.cut(instructionText) }),
    ...(inputText && { inputText: cutter.cut(inputText) }),
    ...(answers && { answers: [cutter.cut(answers[0]), cutter.cut(answers[1])] }),
    verdicts: verdicts.map((verdict): VerdictReport => ({
      ...verdict,
      ...(verdict.detail !== undefined && { detail: cutter.shorten(verdict.detail) }),
      reply: verdict.reply && cutter.cut(verdict.reply),
    })),
  };
}
