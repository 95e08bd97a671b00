import { useEffect, useRef } from "preact/hooks";
import { formatCount, formatScore, formatUsd } from "../../../src/format.ts";
import type { RowDetail, RowLine, RowQuery, RowSort, RunReport } from "../../../src/page/contract.ts";
import type { Bin } from "../../../src/stats/histogram.ts";
import { shellWord } from "../../../src/shell-word.ts";
import { CopyButton } from "../parts/copy.tsx";
import { shortName } from "../parts/judge-name.ts";
import { Choice, Empty, Field, Pager } from "../parts/filters.tsx";
import { SaveAll } from "../parts/save-all.tsx";
import { saveCsv } from "../parts/save.ts";
import { pageOf, pageSize, typingMs, useLastPage, type ListProps, type Values } from "../parts/list.ts";
import { LongText, Plain } from "../parts/text.tsx";
import { Fact, Notice, Score } from "../parts/words.tsx";
import { hashOf } from "../place.ts";
import type { Source } from "../source.ts";
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
  useLastPage(page?.total, { values, onChange });
  return (
    <>
      <h2 class="hidden">Rows</h2>
      {values["row"] !== undefined && (
        <RowPanel
          index={Number(values["row"])}
          values={values}
          list={page?.rows.map(({ index }) => index) ?? []}
          report={report}
          source={source}
          onClose={() => onChange({ ...values, row: undefined })}
        />
      )}
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
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
            value={values["arm"] === undefined ? "" : `${values["isKept"] === "false" ? "-" : "+"}${values["arm"]}`}
            onChange={(choice) =>
              set(
                choice === ""
                  ? { arm: undefined, isKept: undefined }
                  : { arm: choice.slice(1), isKept: String(choice.startsWith("+")) },
              )
            }
            options={[
              ["", "all"],
              ...arms.flatMap(({ arm }): [string, string][] => [
                [`+${arm}`, `kept in ${arm}`],
                [`-${arm}`, `not in ${arm}`],
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
        <button type="button" onClick={() => onChange({ row: values["row"] })}>
          Reset
        </button>
      </form>
      <div class="list-head">
        <p role="status">
          {problem !== undefined
            ? problem
            : page
              ? `${formatCount(page.total)} of ${formatCount(page.searched)} rows${source.leftOut && source.leftOut.rows > 0 ? " in this report" : ""}${progress.isReady || source.leftOut ? "" : ` (${formatCount(progress.read)} of ${formatCount(progress.total)} are read so far)`}`
              : "…"}
        </p>
        <CopyButton text={() => location.href}>copy link</CopyButton>
        <SaveAll
          total={page?.total ?? 0}
          load={async (offset, limit) => (await source.rows({ ...query, offset, limit })).rows}
          save={(rows) => saveRows(rows, report)}
        />
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="rows">
        <table class="rows">
          <thead>
            <tr>
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
            </tr>
          </thead>
          <tbody>
            {page?.rows.map((row) => (
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
            ))}
          </tbody>
        </table>
        {page?.rows.length === 0 && problem === undefined && <Empty what="row" />}
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

interface PanelProps {
  readonly index: number;
  readonly values: Values;
  /** The rows of the list, in its order. */
  readonly list: readonly number[];
  readonly report: RunReport;
  readonly source: Source;
  readonly onClose: () => void;
}

/** A link to the previous or next row; the list stays as it is. */
function Neighbour({ name, row, values }: { name: string; row: number | undefined; values: Values }) {
  const isThere = row !== undefined && row >= 0;
  return isThere ? (
    <a class="button" href={hashOf("rows", { ...values, row })}>
      {name}
    </a>
  ) : (
    <button type="button" disabled>
      {name}
    </button>
  );
}

/** One row in full. */
function RowPanel({ index, values, list, report, source, onClose }: PanelProps) {
  const at = list.indexOf(index);
  const [before, after] = at < 0 ? [index - 1, index + 1] : [list[at - 1], list[at + 1]];
  const {
    value: row,
    problem,
    isLoading,
  } = useLoaded(JSON.stringify([index, report.rows.revision]), async () =>
    Number.isSafeInteger(index) && index >= 0 ? source.row(index) : undefined,
  );
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [index]);
  return (
    <section
      class="panel"
      aria-labelledby="row-heading"
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <div class="panel-head">
        <h3 id="row-heading" tabIndex={-1} ref={heading}>
          Row {Number.isFinite(index) ? formatCount(index) : "?"}
        </h3>
        <CopyButton text={() => location.href}>copy link</CopyButton>
        <Neighbour name="previous" row={before} values={values} />
        <Neighbour name="next" row={after} values={values} />
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      {row && row.index === index ? (
        <Row row={row} report={report} />
      ) : problem !== undefined ? (
        <Notice kind="alarm">{problem}</Notice>
      ) : isLoading ? (
        <p class="quiet">…</p>
      ) : (
        <p>
          {source.leftOut && index < report.rows.read
            ? `This report contains a sample of the rows, and row ${formatCount(index)} is not in it. It is counted in all figures; alpagasus view --run ${shellWord(report.run)} shows it.`
            : `There is no such row${report.rows.isReady ? "" : " yet"}.`}
        </p>
      )}
    </section>
  );
}

function Row({ row, report: { scores, arms } }: { row: RowDetail; report: RunReport }) {
  const { said, intrusions } = row;
  return (
    <>
      <dl class="facts">
        <Fact name="state" note={row.detail}>
          {row.state}
        </Fact>
        <Fact name="score" note={scores?.judge}>
          <Score of={row.score} />
        </Fact>
        {scores?.references.map(({ name }, i) => (
          <Fact name="score" note={shortName(name)}>
            <Score of={row.references[i] ?? null} />
          </Fact>
        ))}
        {arms.map(({ arm }) => (
          <Fact name={arm}>{row.fates[arm] ?? "–"}</Fact>
        ))}
        {row.category !== undefined && (
          <Fact name="category">
            <Plain>{row.category}</Plain>
          </Fact>
        )}
        {row.id !== undefined && (
          <Fact name="id">
            <Plain>{row.id}</Plain>
          </Fact>
        )}
        <Fact name="hash">
          <code>{row.hash}</code>
        </Fact>
      </dl>
      {intrusions && (
        <Notice kind="alarm">
          this row contains words of the rubric itself: <Plain>{intrusions.join(", ")}</Plain>
        </Notice>
      )}
      <h4>Instruction</h4>
      <LongText whole={row.instructionText} label="instruction" />
      {row.inputText.text !== "" && (
        <>
          <h4>Input</h4>
          <LongText whole={row.inputText} label="input" />
        </>
      )}
      <h4>Output</h4>
      <LongText whole={row.outputText} label="output" />
      {said && (
        <>
          <h4>What the judge said</h4>
          {said.reply ? (
            <LongText whole={said.reply} label="the judge's reply" />
          ) : (
            <p class="quiet">no reply is stored</p>
          )}
          <p class="quiet">
            {[
              said.build,
              said.finish && `ended by ${said.finish}`,
              said.outputTokens !== undefined && `${formatCount(said.outputTokens)} tokens`,
              said.costUsd !== undefined && formatUsd(said.costUsd),
              said.call && `call ${said.call.slice(0, 12)}`,
            ]
              .filter(Boolean)
              .join(" · ")}
          </p>
        </>
      )}
      {row.score !== null && (
        <p>
          <a href={hashOf("scores", { threshold: row.score })}>Show the threshold at {formatScore(row.score)}</a>
        </p>
      )}
    </>
  );
}
