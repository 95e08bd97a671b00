import { useEffect, useState } from "preact/hooks";

/*
 * The reader's place in the page, kept after `#` in the address: a link to any row survives a reload and works from disk.
 */

const views = ["experiment", "scores", "verdict", "rows", "pairs", "provenance"] as const;
export type View = (typeof views)[number];

export interface Place {
  readonly view: View | undefined;
  readonly values: Readonly<Record<string, string>>;
}

const restMs = 100; // browsers refuse an address that changes too often, as while dragging
let writing = 0;

/** `#/rows?state=failed` */
export function hashOf(view: View, values: Readonly<Record<string, string | number | undefined>> = {}): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return `#/${view}${search.size > 0 ? `?${search}` : ""}`;
}

function readPlace(hash: string): Place {
  const [, name, search = ""] = /^#\/([a-z]+)(?:\?(.*))?$/s.exec(hash) ?? [];
  const view = views.find((known) => known === name);
  return { view, values: Object.fromEntries(new URLSearchParams(search)) };
}

/** The place, and a function that changes it. This replaces the history entry, so that Back skips it. */
export function usePlace(): [Place, (view: View, values: Record<string, string | number | undefined>) => void] {
  const [place, setPlace] = useState(() => readPlace(location.hash));
  useEffect(() => {
    const follow = () => {
      clearTimeout(writing);
      setPlace(readPlace(location.hash));
    };
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const replace = (view: View, values: Record<string, string | number | undefined>) => {
    const hash = hashOf(view, values);
    setPlace(readPlace(hash));
    clearTimeout(writing);
    writing = window.setTimeout(() => history.replaceState(null, "", hash), restMs);
  };
  return [place, replace];
}
