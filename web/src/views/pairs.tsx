import { useEffect, useRef, useState } from "preact/hooks";
import { formatCount, formatUsd } from "../../../src/format.ts";
import type { ComparisonReport, PairDetail, PairLine, PairQuery, VerdictReport } from "../../../src/page/contract.ts";
import { isFlipped } from "../../../src/page/select-pairs.ts";
import type { Side } from "../../../src/comparison/verdict.ts";
import { shellWord } from "../../../src/shell-word.ts";
import { CopyButton } from "../parts/copy.tsx";
import { Choice, Empty, Field, Pager } from "../parts/filters.tsx";
import { pageOf, pageSize, typingMs, useLastPage, type ListProps, type Values } from "../parts/list.ts";
import { LongText, Plain } from "../parts/text.tsx";
import { TextDifference } from "../parts/text-difference.tsx";
import { Fact, Notice } from "../parts/words.tsx";
import { SaveAll } from "../parts/save-all.tsx";
import { saveCsv } from "../parts/save.ts";
import { hashOf } from "../place.ts";
import type { PairName, Source } from "../source.ts";
import { useLoaded } from "../use-loaded.ts";

/** All compared pairs, doubtful ones first; one of them in full, side by side. */
export function PairsView({ report, source, values, onChange }: ListProps) {
  const { comparisons } = report;
  const query = toQuery(values);
  const { value: page, problem } = useLoaded(
    JSON.stringify([query, comparisons.map(({ verdictsHash }) => verdictsHash)]),
    () => source.pairs(query),
    typingMs,
  );
  const set = (change: Record<string, string | undefined>) => onChange({ ...values, page: undefined, ...change });
  const concerned = comparisons.filter(({ key }) => values["comparison"] === undefined || key === values["comparison"]);
  const sets = [...new Set(concerned.flatMap((comparison) => comparison.sets.map(({ group }) => group)))];
  const categories = [...new Set(concerned.flatMap((comparison) => comparison.categories.map(({ group }) => group)))];
  const open = nameOf(values);
  const [only, ...others] = concerned;
  const [armA, armB] = only && others.length === 0 ? [only.a, only.b] : ["the first arm", "the second arm"];
  useLastPage(page?.total, { values, onChange });
  const all: [string, string] = ["", "all"];
  const named = (names: readonly string[]) => [all, ...names.map((name): [string, string] => [name, name])];
  return (
    <>
      <h2 class="hidden">Pairs</h2>
      {open && (
        <PairPanel
          name={open}
          values={values}
          list={page?.pairs ?? []}
          comparison={comparisons.find(({ key }) => key === open.comparison)}
          source={source}
          run={report.run}
          onClose={() => onChange({ ...values, pair: undefined, pairSet: undefined, of: undefined })}
        />
      )}
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <Field
          label="Search"
          hint='words or "a phrase"'
          type="search"
          value={values["search"]}
          onInput={(search) => set({ search })}
          isWide
        />
        {comparisons.length > 1 && (
          <Choice
            label="Comparison"
            value={values["comparison"]}
            onChange={(comparison) => set({ comparison })}
            options={[
              all,
              ...comparisons.map(({ key, a, b, judge }): [string, string] => [key, `${a} against ${b}, by ${judge}`]),
            ]}
          />
        )}
        <Choice
          label="Outcome"
          value={values["outcome"]}
          onChange={(outcome) => set({ outcome })}
          options={named(["win", "tie", "lose", "undecided"])}
        />
        {concerned.some(({ seesOrder }) => seesOrder) && (
          <Choice
            label="Orders"
            value={values["orders"]}
            onChange={(orders) => set({ orders })}
            options={[all, ["flipped", "contradict each other"], ["differ", "differ"], ["unread", "could not be read"]]}
          />
        )}
        {sets.length > 1 && (
          <Choice
            label="Test set"
            value={values["set"]}
            onChange={(name) => set({ set: name })}
            options={named(sets)}
          />
        )}
        {categories.length > 0 && (
          <Choice
            label="Category"
            value={values["category"]}
            onChange={(category) => set({ category })}
            options={named(categories)}
          />
        )}
        <Choice
          label="Sort by"
          value={values["sort"] ?? "disagreement"}
          onChange={(sort) => set({ sort })}
          options={[
            ["disagreement", "doubtful first"],
            ["set", "position"],
            ["length", "difference in length"],
          ]}
        />
        <button type="button" onClick={() => onChange({})}>
          Reset
        </button>
      </form>
      <div class="list-head">
        <p role="status">
          {problem ??
            (page
              ? `${formatCount(page.total)} pairs${source.leftOut && source.leftOut.pairs > 0 ? " in this report" : ""}`
              : "…")}
        </p>
        <CopyButton text={() => location.href}>copy link</CopyButton>
        <SaveAll
          total={page?.total ?? 0}
          load={async (offset, limit) => (await source.pairs({ ...query, offset, limit })).pairs}
          save={(pairs) => savePairs(pairs, comparisons)}
        />
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="pairs">
        <table class="rows">
          <thead>
            <tr>
              <th scope="col">prompt</th>
              <th scope="col">set</th>
              <th scope="col">outcome</th>
              <th scope="col">{armA} shown first: winner</th>
              <th scope="col">{armB} shown first: winner</th>
              <th scope="col" class="number minor">
                {armA}, characters
              </th>
              <th scope="col" class="number minor">
                {armB}, characters
              </th>
              <th scope="col">text of the prompt</th>
            </tr>
          </thead>
          <tbody>
            {page?.pairs.map((pair) => (
              <tr class={open && isOf(pair, open) ? "marked" : undefined}>
                <th scope="row">
                  <a href={linkTo(pair, values)}>
                    <Plain>{pair.id}</Plain>
                  </a>
                </th>
                <td>
                  <Plain>{pair.set}</Plain>
                </td>
                <td>
                  <span class={`outcome ${pair.outcome}`}>{pair.outcome}</span>
                </td>
                <td>{saidOf(pair, "A", comparisons)}</td>
                <td>{saidOf(pair, "B", comparisons)}</td>
                <td class="number minor">{pair.lengths ? formatCount(pair.lengths[0]) : "–"}</td>
                <td class="number minor">{pair.lengths ? formatCount(pair.lengths[1]) : "–"}</td>
                <td class="texts">
                  <span class="foreign clipped-line" dir="auto">
                    <Plain>{pair.instruction}</Plain>
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {page?.pairs.length === 0 && problem === undefined && <Empty what="pair" />}
      </div>
      <Pager
        page={pageOf(values)}
        pageSize={pageSize}
        total={page?.total ?? 0}
        onPage={(to) => onChange({ ...values, page: to === 0 ? undefined : String(to) })}
      />
    </>
  );
}

function toQuery(values: Values): PairQuery {
  const given = Object.fromEntries(
    ["comparison", "search", "set", "category", "outcome", "orders", "sort"].flatMap((name) =>
      values[name] ? [[name, values[name]]] : [],
    ),
  ) as PairQuery; // the server refuses invalid values
  return { ...given, offset: pageOf(values) * pageSize, limit: pageSize };
}

/** The pair that a link names. */
function nameOf({ pair, pairSet, of }: Values): PairName | undefined {
  return pair === undefined || pairSet === undefined || of === undefined
    ? undefined
    : { comparison: of, set: pairSet, id: pair };
}

function linkTo({ comparison, set, id }: PairLine, values: Values): string {
  return hashOf("pairs", { ...values, of: comparison, pairSet: set, pair: id });
}

function isOf(pair: PairLine, { comparison, set, id }: PairName): boolean {
  return pair.comparison === comparison && pair.set === set && pair.id === id;
}

/** The judge's verdict with one arm shown first: the better arm's name, or the state. */
function saidOf({ comparison, orders }: PairLine, first: Side, comparisons: readonly ComparisonReport[]): string {
  const of = comparisons.find(({ key }) => key === comparison);
  const order = of?.seesOrder
    ? orders.find(({ shownFirst }) => shownFirst === first)
    : first === "A"
      ? orders[0]
      : undefined;
  // the order may not have been recorded
  const known = order ?? (first === "A" ? orders.find(({ shownFirst }) => shownFirst === undefined) : undefined);
  if (!of || !known) return "–";
  return known.said === "A" ? of.a : known.said === "B" ? of.b : known.said;
}

function savePairs(pairs: readonly PairLine[], comparisons: readonly ComparisonReport[]): void {
  saveCsv(
    [
      "comparison",
      "A",
      "B",
      "judge",
      "set",
      "prompt",
      "category",
      "outcome for A",
      "better with A first",
      "better with B first",
      "A characters",
      "B characters",
      "text of the prompt (beginning)",
    ],
    pairs.map((line) => {
      const { comparison, set, id, category, outcome, lengths, instruction } = line;
      const of = comparisons.find(({ key }) => key === comparison);
      const said = (["A", "B"] as const).map((first) => saidOf(line, first, comparisons));
      return [
        comparison,
        of?.a,
        of?.b,
        of?.judge,
        set,
        id,
        category,
        outcome,
        ...said,
        lengths?.[0],
        lengths?.[1],
        instruction,
      ];
    }),
    "pairs",
  );
}

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

function PairPanel({ name, values, list, comparison, source, run, onClose }: PanelProps) {
  const at = list.findIndex((listed) => isOf(listed, name));
  const neighbours = [
    ["previous", list[at - 1]],
    ["next", at < 0 ? undefined : list[at + 1]],
  ] as const;
  const key = JSON.stringify([name, comparison?.verdictsHash]);
  const { value: pair, problem, isLoading } = useLoaded(key, () => source.pair(name));
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [key]);
  return (
    <section
      class="panel"
      aria-labelledby="pair-heading"
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <div class="panel-head">
        <h3 id="pair-heading" tabIndex={-1} ref={heading}>
          <Plain>{`${name.set} ${name.id}`}</Plain>
        </h3>
        <CopyButton text={() => location.href}>copy link</CopyButton>
        {neighbours.map(([word, neighbour]) =>
          neighbour ? (
            <a class="button" href={linkTo(neighbour, values)}>
              {word}
            </a>
          ) : (
            <button type="button" disabled>
              {word}
            </button>
          ),
        )}
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      {pair && comparison && isOf(pair, name) ? (
        <Pair pair={pair} comparison={comparison} />
      ) : problem !== undefined ? (
        <Notice kind="alarm">{problem}</Notice>
      ) : isLoading ? (
        <p class="quiet">…</p>
      ) : (
        <p>
          {source.leftOut
            ? `This report does not contain this pair. It is counted in all figures; alpagasus view --run ${shellWord(run)} shows it.`
            : "There is no such pair in this run."}
        </p>
      )}
    </section>
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
