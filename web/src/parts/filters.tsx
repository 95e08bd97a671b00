import { formatCount } from "../../../src/format.ts";

interface FieldProps {
  readonly label: string;
  readonly type: "search" | "number";
  readonly value: string | undefined;
  readonly onInput: (value: string | undefined) => void;
  readonly hint?: string | undefined;
  readonly isWide?: boolean | undefined;
}

export function Field({ label, type, value = "", onInput, hint, isWide = false }: FieldProps) {
  return (
    <label class={isWide ? "field wide" : "field"}>
      <span>{label}</span>
      {type === "number" ? (
        <input type="number" step="any" value={value} onInput={(event) => onInput(textOf(event))} />
      ) : (
        <input type="search" value={value} placeholder={hint ?? ""} onInput={(event) => onInput(textOf(event))} />
      )}
    </label>
  );
}

function textOf({ currentTarget: { value } }: { readonly currentTarget: HTMLInputElement }): string | undefined {
  return value === "" ? undefined : value;
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string | undefined;
  readonly options: readonly (readonly [value: string, name: string])[];
  readonly onChange: (value: string) => void;
}

export function Choice({ label, value = "", options, onChange }: ChoiceProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <select value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)}>
        {options.map(([option, name]) => (
          <option value={option} selected={option === value}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

interface PagerProps {
  /** From 0. */
  readonly page: number;
  readonly pageSize: number;
  readonly total: number;
  readonly onPage: (page: number) => void;
}

export function Pager({ page, pageSize, total, onPage }: PagerProps) {
  const last = Math.max(0, Math.ceil(total / pageSize) - 1);
  return (
    <nav class="pager" aria-label="pages">
      <button type="button" disabled={page <= 0} onClick={() => onPage(0)}>
        First
      </button>
      <button type="button" disabled={page <= 0} onClick={() => onPage(page - 1)}>
        Previous
      </button>
      <span>
        page {formatCount(page + 1)} of {formatCount(last + 1)}
      </span>
      <button type="button" disabled={page >= last} onClick={() => onPage(page + 1)}>
        Next
      </button>
      <button type="button" disabled={page >= last} onClick={() => onPage(last)}>
        Last
      </button>
    </nav>
  );
}

/** Says that a list has no matches. */
export function Empty({ what }: { what: string }) {
  return <p class="quiet">No {what} matches these filters.</p>;
}
