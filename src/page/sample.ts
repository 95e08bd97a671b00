import type { EmbeddedReport, LeftOut, PageText, PairDetail, RowDetail, RowQuery, RunReport } from "./contract.ts";
import type { OpenRun } from "./open-run.ts";

/*
 * What a report carries of the rows and pairs: a bounded sample. What failed and what judges disagree about comes first,
 * then the rows around the cuts, then some rows at every score, so that any threshold has examples beside it.
 */

const rowBytes = 1_100_000; // of rows
const allBytes = 2_300_000; // of rows and pairs: with the page itself, under 3 MB
const textLimit = 1_500; // characters of a text
const perCut = 15; // rows on each side of an arm's cut
const disagreements = 150;
const perEdge = 3; // rows at each score, or step of it
const longest = 30; // outputs
const mostRows = 5_000;
const mostUnscored = 2_000;
const batch = 200;

/** Everything that goes into the HTML. */
export async function embed(run: OpenRun, report: RunReport): Promise<EmbeddedReport> {
  const cutter = new Cutter();
  const rows = await sampleRows(run, report, cutter);
  const pairs = await samplePairs(run, cutter, allBytes - bytesOf(rows));
  const unscored = report.scores ? report.scores.rows - (report.scores.states.scored ?? 0) : 0;
  const leftOut: LeftOut = {
    rows: Math.max(0, report.rows.read - rows.length),
    unscored: Math.max(0, unscored - rows.filter(({ state }) => state !== "scored").length),
    pairs: pairs.leftOut,
    contradictory: pairs.contradictory,
    cutTexts: cutter.count,
    textLimit,
  };
  return { kind: "report", report, rows, pairs: pairs.pairs, leftOut };
}

async function sampleRows(run: OpenRun, { scores, arms }: RunReport, cutter: Cutter): Promise<RowDetail[]> {
  const found = new Map<number, RowDetail>();
  let bytes = 0;
  const take = async (query: RowQuery, most: number): Promise<void> => {
    for (let offset = 0; offset < most && bytes < rowBytes; offset += batch) {
      const rows = await run.wholeRows({ ...query, offset, limit: Math.min(batch, most - offset) });
      for (const whole of rows) {
        if (bytes >= rowBytes) return;
        if (found.has(whole.index)) continue;
        const row = cutRow(whole, cutter);
        found.set(row.index, row);
        bytes += bytesOf(row);
      }
      if (rows.length < batch) return;
    }
  };
  await take({ state: "unscored" }, mostUnscored);
  for (const reference of scores?.references.keys() ?? [])
    await take({ sort: "disagreement", reference, isDescending: true }, disagreements);
  for (const { cut } of arms) {
    if (cut === null) continue;
    await take({ atLeast: cut, sort: "score" }, perCut);
    await take({ below: cut, sort: "score", isDescending: true }, perCut);
  }
  const edges = scores?.thresholds?.edges ?? [];
  for (const [i, edge] of edges.entries()) {
    const isEmpty = scores!.thresholds!.rows[i] === 0;
    const next = edges[i + 1];
    if (!isEmpty) await take({ atLeast: edge, ...(next !== undefined && { below: next }), sort: "score" }, perEdge);
  }
  await take({ sort: "length", isDescending: true }, longest);
  await take({}, mostRows);
  return [...found.values()].toSorted((a, b) => a.index - b.index);
}

async function samplePairs(
  run: OpenRun,
  cutter: Cutter,
  pairBytes: number,
): Promise<{ pairs: PairDetail[]; leftOut: number; contradictory: number }> {
  const pairs: PairDetail[] = [];
  let bytes = 0;
  let total = 0;
  let contradictory = 0;
  for (let offset = 0; ; offset += batch) {
    const page = await run.pairs({ sort: "disagreement", offset, limit: batch });
    total = page.total;
    for (const { comparison, set, id, orders } of page.pairs) {
      const pair = bytes < pairBytes ? await run.pair(comparison, set, id) : undefined;
      if (pair) {
        const whole = cutPair(pair, cutter);
        pairs.push(whole);
        bytes += bytesOf(whole);
      } else if (new Set(orders).size > 1) contradictory++;
    }
    if (page.pairs.length < batch) return { pairs, leftOut: total - pairs.length, contradictory };
  }
}

/** Cuts long texts and counts them. */
class Cutter {
  count = 0;

  cut(whole: PageText): PageText {
    if (whole.text.length <= textLimit) return whole;
    this.count++;
    const end = textLimit - (isHighSurrogate(whole.text.charCodeAt(textLimit - 1)) ? 1 : 0);
    return { text: whole.text.slice(0, end), cut: whole.text.length - end + (whole.cut ?? 0) };
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00;
}

function cutRow(row: RowDetail, cutter: Cutter): RowDetail {
  const { said } = row;
  return {
    ...row,
    instruction: "", // the page takes the beginnings from the whole texts again
    output: "",
    instructionText: cutter.cut(row.instructionText),
    inputText: cutter.cut(row.inputText),
    outputText: cutter.cut(row.outputText),
    ...(said && { said: { ...said, reply: said.reply && cutter.cut(said.reply) } }),
  };
}

function cutPair(pair: PairDetail, cutter: Cutter): PairDetail {
  const { instructionText, inputText, answers, verdicts } = pair;
  return {
    ...pair,
    instruction: "",
    ...(instructionText && { instructionText: cutter.cut(instructionText) }),
    ...(inputText && { inputText: cutter.cut(inputText) }),
    ...(answers && { answers: [cutter.cut(answers[0]), cutter.cut(answers[1])] }),
    verdicts: verdicts.map((verdict) => ({ ...verdict, reply: verdict.reply && cutter.cut(verdict.reply) })),
  };
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
