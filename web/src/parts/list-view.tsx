import type { ComponentChildren } from "preact";
import { CopyButton } from "./copy.tsx";
import { Empty, Pager } from "./filters.tsx";
import { pageOf, pageSize, useLastPage, type ListProps, type Values } from "./list.ts";
import { SaveAll } from "./save-all.tsx";

interface ListViewProps<Line> {
  /** `Rows`, `Pairs`. */
  readonly title: string;
  /** One of them, in a word: `row`. */
  readonly what: string;
  /** The one that is shown in full, above the list. */
  readonly panel: ComponentChildren;
  readonly filters: ComponentChildren;
  readonly onReset: () => void;
  /** How many there are, or what went wrong. */
  readonly status: string;
  readonly hasProblem: boolean;
  /** The lines of this page; undefined until they are loaded. */
  readonly lines: readonly Line[] | undefined;
  readonly total: number | undefined;
  /** The cells of the table's heading. */
  readonly heading: ComponentChildren;
  readonly line: (line: Line) => ComponentChildren;
  readonly load: (offset: number, limit: number) => Promise<readonly Line[]>;
  readonly save: (lines: readonly Line[]) => void;
  readonly values: Values;
  readonly onChange: ListProps["onChange"];
}

/** A list with search, filters and pages, from which one line can be opened in full and all can be saved. */
export function ListView<Line>(props: ListViewProps<Line>) {
  const { title, what, panel, filters, onReset, status, hasProblem, lines, total, heading, line, load, save } = props;
  const { values, onChange } = props;
  useLastPage(total, { values, onChange });
  return (
    <>
      <h2 class="hidden">{title}</h2>
      {panel}
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        {filters}
        <button type="button" onClick={onReset}>
          Reset
        </button>
      </form>
      <div class="list-head">
        <p role="status">{status}</p>
        <CopyButton text={() => location.href}>copy link</CopyButton>
        <SaveAll total={total ?? 0} load={load} save={save} />
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label={`${what}s`}>
        <table class="rows">
          <thead>
            <tr>{heading}</tr>
          </thead>
          <tbody>{lines?.map(line)}</tbody>
        </table>
        {lines?.length === 0 && !hasProblem && <Empty what={what} />}
      </div>
      <Pager
        page={pageOf(values)}
        pageSize={pageSize}
        total={total ?? 0}
        onPage={(to) => onChange({ ...values, page: to === 0 ? undefined : String(to) })}
      />
    </>
  );
}
