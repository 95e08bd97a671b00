import { formatCount, formatScore } from "../../../src/format.ts";
import type { RowLine, RowQuery, RowSort, RunReport } from "../../../src/page/contract.ts";
import type { Bin } from "../../../src/stats/histogram.ts";
import { shortName } from "../parts/judge-name.ts";
import { fateChoice, readFateChoice } from "../parts/fate-choice.ts";
import { Choice, Field } from "../parts/filters.tsx";
import { saveCsv } from "../parts/save.ts";
import { pageOf, pageSize, typingMs, type ListProps, type Values } from "../parts/list.ts";
import { Plain } from "../parts/text.tsx";
import { Score } from "../parts/words.tsx";
import { hashOf } from "../place.ts";
import { ListView } from "../parts/list-view.tsx";
import { RowPanel } from "./row-panel.tsx";
import { useLoaded } from "../use-loaded.ts";

/** All rows, with search, filters and order; one of them in full. */
export function RowsView({ report, source, values, onChange }: ListProps) {
  const query = toQuery(values);
  const { rows: progress, arms, scores } = report;
  const { value: page, problem } = useLoaded(
    JSON.stringify([query, progress.revision]),
    () => source.rows(query),
    typingMs,
  );
  const set = (change: Record<string, string | undefined>) => onChange({ ...values, page: undefined, ...change });
  const references = scores?.references ?? [];
  const categories =
    scores?.thresholds?.categories?.flatMap(({ category, isRest }) => (isRest ? [] : [category])) ?? [];
  const list = page?.rows.map(({ index }) => index) ?? [];
  const scope = source.leftOut && source.leftOut.rows > 0 ? " in this report" : "";
  const progressNote =
    progress.isReady || source.leftOut
      ? ""
      : ` (${formatCount(progress.read)} of ${formatCount(progress.total)} are read so far)`;
  return (
    <ListView<RowLine>
      title="Rows"
      what="row"
      values={values}
      onChange={onChange}
      panel={
        values["row"] !== undefined && (
          <RowPanel
            index={Number(values["row"])}
            values={values}
            list={list}
            report={report}
            source={source}
            onClose={() => onChange({ ...values, row: undefined })}
          />
        )
      }
      filters={
        <>
          <Field
            label="Search"
            hint='words, "a phrase" or #row'
            type="search"
            value={values["search"]}
            onInput={(search) => set({ search })}
            isWide
          />
          <Choice
            label="State"
            value={values["state"]}
            onChange={(state) => set({ state })}
            options={[
              ["", "all"],
              ["scored", "scored"],
              ["unscored", "without a score"],
              ...Object.keys(scores?.states ?? {})
                .filter((state) => state !== "scored")
                .map((state): [string, string] => [state, state]),
            ]}
          />
          <Field label="Score from" type="number" value={values["atLeast"]} onInput={(atLeast) => set({ atLeast })} />
          <Field label="Score below" type="number" value={values["below"]} onInput={(below) => set({ below })} />
          {categories.length > 0 && (
            <Choice
              label="Category"
              value={values["category"]}
              onChange={(category) => set({ category })}
              options={[["", "all"], ...categories.map((category): [string, string] => [category, category])]}
            />
          )}
          {arms.length > 0 && (
            <Choice
              label="Arm"
              value={fateChoice(values)}
              onChange={(choice) => set(readFateChoice(choice))}
              options={[
                ["", "all"],
                ...arms.flatMap(({ arm, reasons }): [string, string][] => [
                  [`kept/${arm}`, `kept in ${arm}`],
                  [`not/${arm}`, `not in ${arm}`],
                  ...Object.keys(reasons).flatMap((reason): [string, string][] =>
                    reason === "kept" ? [] : [[`${reason}/${arm}`, `not in ${arm}: ${reason}`]],
                  ),
                ]),
              ]}
            />
          )}
          <Field
            label="Output length from"
            type="number"
            value={values["shortest"]}
            onInput={(shortest) => set({ shortest })}
          />
          <Field
            label="Output length up to"
            type="number"
            value={values["longest"]}
            onInput={(longest) => set({ longest })}
          />
          <Choice
            label="Sort by"
            value={`${values["sort"] ?? "index"}${values["sort"] === "disagreement" ? (values["reference"] ?? "0") : ""}${values["isDescending"] === "true" ? "-" : "+"}`}
            onChange={(choice) => {
              const [, sort, reference] = /^([a-z]+)(\d*)/.exec(choice)!;
              set({
                sort,
                reference: reference === "" ? undefined : reference,
                isDescending: String(choice.endsWith("-")),
              });
            }}
            options={[
              ["index+", "position"],
              ["index-", "position, last first"],
              ["score-", "score, best first"],
              ["score+", "score, worst first"],
              ["length-", "output, longest first"],
              ["length+", "output, shortest first"],
              ...references.map(({ name }, i): [string, string] => [
                `disagreement${i}-`,
                `disagreement with ${shortName(name)}`,
              ]),
            ]}
          />
        </>
      }
      onReset={() => onChange({ row: values["row"] })}
      status={
        problem ??
        (page ? `${formatCount(page.total)} of ${formatCount(page.searched)} rows${scope}${progressNote}` : "…")
      }
      hasProblem={problem !== undefined}
      lines={page?.rows}
      total={page?.total}
      heading={
        <>
          <SortHeader name="row" sort="index" values={values} onSort={set} />
          <th scope="col">state</th>
          <SortHeader name="score" sort="score" values={values} onSort={set} />
          {references.map(({ name }) => (
            <th scope="col" class="number judge minor" title={name}>
              {shortName(name)}
            </th>
          ))}
          <SortHeader name="output, characters" sort="length" values={values} onSort={set} isMinor />
          {categories.length > 0 && (
            <th scope="col" class="minor">
              category
            </th>
          )}
          {arms.map(({ arm }) => (
            <th scope="col" class="minor">
              {arm}
            </th>
          ))}
          <th scope="col">instruction and output</th>
        </>
      }
      line={(row) => (
        <tr class={String(row.index) === values["row"] ? "marked" : undefined}>
          <th scope="row" class="number">
            <a href={hashOf("rows", { ...values, row: row.index })}>{formatCount(row.index)}</a>
          </th>
          <td>{row.state}</td>
          <td class="number">
            <Score of={row.score} digits={digitsOf(scores?.histogram)} />
          </td>
          {references.map(({ histogram }, i) => (
            <td class="number minor">
              <Score of={row.references[i] ?? null} digits={digitsOf(histogram)} />
            </td>
          ))}
          <td class="number minor">{formatCount(row.outputLength)}</td>
          {categories.length > 0 && (
            <td class="minor">
              <Plain>{row.category ?? ""}</Plain>
            </td>
          )}
          {arms.map(({ arm }) => (
            <td class="minor">{row.fates[arm] ?? "–"}</td>
          ))}
          <td class="texts">
            <span class="foreign clipped-line" dir="auto">
              <Plain>{row.instruction}</Plain>
            </span>
            <span class="foreign clipped-line quiet" dir="auto">
              <Plain>{row.output}</Plain>
            </span>
          </td>
        </tr>
      )}
      load={async (offset, limit) => (await source.rows({ ...query, offset, limit })).rows}
      save={(rows) => saveRows(rows, report)}
    />
  );
}

interface SortHeaderProps {
  readonly name: string;
  readonly sort: RowSort;
  readonly values: Values;
  readonly onSort: (change: Record<string, string | undefined>) => void;
  readonly isMinor?: boolean | undefined;
}

/** A heading that sorts by its column, highest first (positions: lowest first). Pressing it again reverses the order. */
function SortHeader({ name, sort, values, onSort, isMinor = false }: SortHeaderProps) {
  const isSorted = (values["sort"] ?? "index") === sort;
  const isDescending = values["isDescending"] === "true";
  const turned = isSorted ? !isDescending : sort !== "index";
  return (
    <th
      scope="col"
      class={isMinor ? "number minor" : "number"}
      aria-sort={isSorted ? (isDescending ? "descending" : "ascending") : undefined}
    >
      <button type="button" onClick={() => onSort({ sort, isDescending: String(turned) })}>
        {name}
      </button>
    </th>
  );
}

const mostDigits = 3;

/** Decimal places that align the scores of a column: as many as the values have, at most three. */
function digitsOf(bins: readonly Bin[] = []): number {
  if (bins.some(({ from, to }) => from !== to)) return mostDigits;
  return Math.min(mostDigits, Math.max(0, ...bins.map(({ from }) => formatScore(from).split(".")[1]?.length ?? 0)));
}

/** The link's parameters as a query. */
function toQuery(values: Values): RowQuery {
  const number = (name: string) => {
    const text = values[name];
    return text === undefined || text === "" || !Number.isFinite(Number(text)) ? {} : { [name]: Number(text) };
  };
  const text = (name: string) => (values[name] ? { [name]: values[name] } : {});
  return {
    ...text("search"),
    ...text("state"),
    ...number("atLeast"),
    ...number("below"),
    ...text("category"),
    ...number("shortest"),
    ...number("longest"),
    ...number("reference"),
    ...text("arm"),
    ...(values["arm"] ? text("reason") : {}),
    ...(values["arm"] && values["isKept"] !== undefined && { isKept: values["isKept"] === "true" }),
    sort: (values["sort"] as RowSort | undefined) ?? "index", // the server refuses invalid values
    ...(values["isDescending"] === "true" && { isDescending: true }),
    offset: pageOf(values) * pageSize,
    limit: pageSize,
  };
}

function saveRows(rows: readonly RowLine[], { scores, arms }: RunReport): void {
  saveCsv(
    [
      "row",
      "id",
      "state",
      "score",
      ...(scores?.references.map(({ name }) => name) ?? []),
      "output characters",
      "category",
      ...arms.map(({ arm }) => arm),
      "instruction (beginning)",
    ],
    rows.map((row) => [
      row.index,
      row.id,
      row.state,
      row.score,
      ...row.references,
      row.outputLength,
      row.category,
      ...arms.map(({ arm }) => row.fates[arm]),
      row.instruction,
    ]),
    "rows",
  );
}
