import { useState } from "preact/hooks";
import { formatUsd } from "../../../src/format.ts";
import type { ComparisonReport, PairDetail, PairLine, VerdictReport } from "../../../src/page/contract.ts";
import { isFlipped } from "../../../src/page/select-pairs.ts";
import { shellWord } from "../../../src/shell-word.ts";
import { DetailPanel } from "../parts/detail-panel.tsx";
import type { Values } from "../parts/list.ts";
import { LongText, Plain } from "../parts/text.tsx";
import { TextDifference } from "../parts/text-difference.tsx";
import { Fact } from "../parts/words.tsx";
import { hashOf } from "../place.ts";
import type { PairName, Source } from "../source.ts";
import { useLoaded } from "../use-loaded.ts";

interface PanelProps {
  readonly name: PairName;
  readonly values: Values;
  /** The pairs of the list, in its order. */
  readonly list: readonly PairLine[];
  readonly comparison: ComparisonReport | undefined;
  readonly source: Source;
  readonly run: string;
  readonly onClose: () => void;
}

export function linkToPair({ comparison, set, id }: PairLine, values: Values): string {
  return hashOf("pairs", { ...values, of: comparison, pairSet: set, pair: id });
}

export function isOf(pair: PairLine, { comparison, set, id }: PairName): boolean {
  return pair.comparison === comparison && pair.set === set && pair.id === id;
}

/** One pair in full, side by side. */
export function PairPanel({ name, values, list, comparison, source, run, onClose }: PanelProps) {
  const at = list.findIndex((listed) => isOf(listed, name));
  const key = JSON.stringify([name, comparison?.verdictsHash]);
  const { value: pair, problem, isLoading } = useLoaded(key, () => source.pair(name));
  const link = (to: PairLine | undefined) => to && linkToPair(to, values);
  return (
    <DetailPanel
      what="pair"
      heading={<Plain>{`${name.set} ${name.id}`}</Plain>}
      of={key}
      previous={link(list[at - 1])}
      next={link(at < 0 ? undefined : list[at + 1])}
      problem={problem}
      isLoading={isLoading}
      missing={
        source.leftOut
          ? `This report does not contain this pair. It is counted in all figures; alpagasus view --run ${shellWord(run)} shows it.`
          : "There is no such pair in this run."
      }
      onClose={onClose}
    >
      {pair && comparison && isOf(pair, name) ? <Pair pair={pair} comparison={comparison} /> : undefined}
    </DetailPanel>
  );
}

function Pair({ pair, comparison: { a, b, seesOrder } }: { pair: PairDetail; comparison: ComparisonReport }) {
  const [isMarked, setMarked] = useState(true);
  return (
    <>
      <dl class="facts">
        <Fact name={`outcome for ${a}`}>{pair.outcome}</Fact>
        {pair.category !== undefined && (
          <Fact name="category">
            <Plain>{pair.category}</Plain>
          </Fact>
        )}
        {seesOrder && isFlipped(pair) && <Fact name="orders">contradict each other</Fact>}
      </dl>
      {pair.instructionText && (
        <>
          <h4>Prompt</h4>
          <LongText whole={pair.instructionText} label="prompt" />
        </>
      )}
      {pair.inputText && <LongText whole={pair.inputText} label="input" />}
      {pair.answers ? (
        <>
          <label class="check">
            <input
              type="checkbox"
              checked={isMarked}
              onChange={({ currentTarget }) => setMarked(currentTarget.checked)}
            />{" "}
            mark where they differ
          </label>
          <TextDifference names={[`A: ${a}`, `B: ${b}`]} texts={pair.answers} isMarked={isMarked} />
        </>
      ) : (
        <p class="quiet">The answers are not known: the judgements were published without them.</p>
      )}
      <h4>What the judge said</h4>
      {pair.verdicts.length === 0 && <p class="quiet">The answers are identical: a tie, without calling the judge.</p>}
      <div class="sides">
        {pair.verdicts.map((verdict) => (
          <VerdictCard verdict={verdict} a={a} b={b} seesOrder={seesOrder} />
        ))}
      </div>
    </>
  );
}

interface CardProps {
  readonly verdict: VerdictReport;
  readonly a: string;
  readonly b: string;
  readonly seesOrder: boolean;
}

function VerdictCard({ verdict, a, b, seesOrder }: CardProps) {
  const { shownFirst, state, winner, scores, detail, reply, costUsd, build, call } = verdict;
  const nameOfSide = { A: a, B: b, draw: "neither" };
  return (
    <div class="card">
      <h5>
        {shownFirst && seesOrder ? `${nameOfSide[shownFirst]} shown first` : "verdict"}:{" "}
        {winner ? (winner === "draw" ? "a draw" : `${nameOfSide[winner]} is better`) : state}
      </h5>
      {scores && (
        <p>
          {a} {scores.A} · {b} {scores.B}
        </p>
      )}
      {detail !== undefined && (
        <p class="quiet">
          <Plain>{detail}</Plain>
        </p>
      )}
      {reply ? <LongText whole={reply} label="the judge's reply" /> : <p class="quiet">no reply is stored</p>}
      <p class="quiet">
        {[build, costUsd !== undefined && formatUsd(costUsd), call && `call ${call.slice(0, 12)}`]
          .filter(Boolean)
          .join(" · ")}
      </p>
    </div>
  );
}
