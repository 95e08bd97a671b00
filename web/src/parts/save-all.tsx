import { useState } from "preact/hooks";
import { formatCount } from "../../../src/format.ts";

interface SaveAllProps<T> {
  readonly total: number;
  readonly load: (offset: number, limit: number) => Promise<readonly T[]>;
  readonly save: (lines: readonly T[]) => void;
}

const step = 2_000;
const most = 100_000; // lines; more are of little use in a spreadsheet

/** Saves the whole list as CSV, not only the page shown. */
export function SaveAll<T>({ total, load, save }: SaveAllProps<T>) {
  const [done, setDone] = useState<number>();
  const wanted = Math.min(total, most);
  const saveAll = async () => {
    const lines: T[] = [];
    try {
      while (lines.length < wanted) {
        setDone(lines.length);
        const some = await load(lines.length, Math.min(step, wanted - lines.length));
        if (some.length === 0) break;
        lines.push(...some);
      }
      save(lines);
    } finally {
      setDone(undefined);
    }
  };
  return (
    <button type="button" class="small" disabled={total === 0 || done !== undefined} onClick={() => void saveAll()}>
      {done !== undefined
        ? `${formatCount(done)} …`
        : `CSV of ${total > most ? `the first ${formatCount(most)}` : `all ${formatCount(total)}`}`}
    </button>
  );
}
