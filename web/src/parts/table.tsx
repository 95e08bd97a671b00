import type { ComponentChildren } from "preact";
import { saveCsv, type Cell } from "./save.ts";

export interface Column<T> {
  readonly name: string;
  /** Numbers are right-aligned. */
  readonly isNumber?: boolean | undefined;
  readonly show: (row: T) => ComponentChildren;
  /** The value in the CSV; absent for a column that is not in it. */
  readonly value?: ((row: T) => Cell) | undefined;
}

interface TableProps<T> {
  readonly caption: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  /** Whether to highlight a row. */
  readonly isMarked?: ((row: T) => boolean) | undefined;
  /** Further columns of the CSV, such as the ends of intervals. */
  readonly more?: readonly { readonly name: string; readonly value: (row: T) => Cell }[];
}

/** A table with a caption that can be saved as CSV. Its first column has the row headers. */
export function Table<T>({ caption, columns, rows, isMarked, more = [] }: TableProps<T>) {
  const saved = [...columns.flatMap(({ name, value }) => (value ? [{ name, value }] : [])), ...more];
  const save = () =>
    saveCsv(
      saved.map(({ name }) => name),
      rows.map((row) => saved.map(({ value }) => value(row))),
      caption,
    );
  return (
    <div class="table-box">
      <div class="table-head">
        <h3>{caption}</h3>
        <button type="button" class="small" onClick={save} aria-label={`Save the table "${caption}" as CSV`}>
          CSV
        </button>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label={caption}>
        <table>
          <caption class="hidden">{caption}</caption>
          <thead>
            <tr>
              {columns.map(({ name, isNumber }) => (
                <th scope="col" class={isNumber ? "number" : undefined}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr class={isMarked?.(row) ? "marked" : undefined}>
                {columns.map(({ isNumber, show }, i) =>
                  i === 0 ? (
                    <th scope="row" class={isNumber ? "number" : undefined}>
                      {show(row)}
                    </th>
                  ) : (
                    <td class={isNumber ? "number" : undefined}>{show(row)}</td>
                  ),
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
