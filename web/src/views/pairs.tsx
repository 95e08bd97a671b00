import { formatCount } from "../../../src/format.ts";
import type { ComparisonReport, PairLine, PairQuery } from "../../../src/page/contract.ts";
import type { Side } from "../../../src/comparison/verdict.ts";
import { Choice, Field } from "../parts/filters.tsx";
import { pageOf, pageSize, typingMs, type ListProps, type Values } from "../parts/list.ts";
import { Plain } from "../parts/text.tsx";
import { saveCsv } from "../parts/save.ts";
import type { PairName } from "../source.ts";
import { ListView } from "../parts/list-view.tsx";
import { isOf, linkToPair, PairPanel } from "./pair-panel.tsx";
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
  const all: [string, string] = ["", "all"];
  const named = (names: readonly string[]) => [all, ...names.map((name): [string, string] => [name, name])];
  const scope = source.leftOut && source.leftOut.pairs > 0 ? " in this report" : "";
  return (
    <ListView<PairLine>
      title="Pairs"
      what="pair"
      values={values}
      onChange={onChange}
      panel={
        open && (
          <PairPanel
            name={open}
            values={values}
            list={page?.pairs ?? []}
            comparison={comparisons.find(({ key }) => key === open.comparison)}
            source={source}
            run={report.run}
            onClose={() => onChange({ ...values, pair: undefined, pairSet: undefined, of: undefined })}
          />
        )
      }
      filters={
        <>
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
                ...comparisons.map(({ key }): [string, string] => [key, nameComparison(key, comparisons)]),
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
              options={[
                all,
                ["flipped", "contradict each other"],
                ["differ", "differ"],
                ["unread", "could not be read"],
              ]}
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
        </>
      }
      onReset={() => onChange({})}
      status={problem ?? (page ? `${formatCount(page.total)} pairs${scope}` : "…")}
      hasProblem={problem !== undefined}
      lines={page?.pairs}
      total={page?.total}
      heading={
        <>
          <th scope="col">prompt</th>
          {others.length > 0 && <th scope="col">comparison</th>}
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
        </>
      }
      line={(pair) => (
        <tr class={open && isOf(pair, open) ? "marked" : undefined}>
          <th scope="row">
            <a href={linkToPair(pair, values)}>
              <Plain>{pair.id}</Plain>
            </a>
          </th>
          {others.length > 0 && (
            <td>
              <Plain>{nameComparison(pair.comparison, comparisons)}</Plain>
            </td>
          )}
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
      )}
      load={async (offset, limit) => (await source.pairs({ ...query, offset, limit })).pairs}
      save={(pairs) => savePairs(pairs, comparisons)}
    />
  );
}

/** `selected against random, by student` */
function nameComparison(key: string, comparisons: readonly ComparisonReport[]): string {
  const of = comparisons.find((comparison) => comparison.key === key);
  return of ? `${of.a} against ${of.b}, by ${of.judge}` : key;
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
