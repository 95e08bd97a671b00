import type { PairDetail, PairPage, RowDetail, RowPage, RunReport } from "../../src/page/contract.ts";
import type { Source } from "./source.ts";

const lookAgainMs = 2_000;

/** The data source of the viewer: its server has every row and pair, and figures that follow the run. */
export function servedSource(): Source {
  return {
    follow(onReport, onProblem) {
      let tag: string | null = null;
      let isOver = false;
      let timer = 0;
      const look = async (): Promise<void> => {
        try {
          const response = await fetch("api/report", { headers: tag === null ? {} : { "If-None-Match": tag } });
          if (response.status === 200) {
            tag = response.headers.get("ETag");
            onReport((await response.json()) as RunReport); // as the server wrote it
          } else if (response.status !== 304) {
            tag = null; // so that everything is sent again once it is fixed
            onProblem(await problemOf(response));
          }
        } catch {
          tag = null;
          onProblem("the viewer does not answer: is alpagasus view still running?");
        }
        if (!isOver) timer = window.setTimeout(() => void look(), lookAgainMs);
      };
      void look();
      return () => {
        isOver = true;
        clearTimeout(timer);
      };
    },
    rows: (query) => ask<RowPage>("api/rows", query) as Promise<RowPage>, // lists never return 404
    row: (index) => ask<RowDetail>(`api/rows/${index}`),
    pairs: (query) => ask<PairPage>("api/pairs", query) as Promise<PairPage>, // likewise
    pair: (name) => ask<PairDetail>("api/pair", name),
  };
}

/** Undefined if the server answers 404. @throws Error with the server's message */
async function ask<T>(path: string, query: object = {}): Promise<T | undefined> {
  const values = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const search = new URLSearchParams(values.map(([name, value]) => [name, String(value)]));
  const response = await fetch(`${path}${search.size > 0 ? `?${search}` : ""}`);
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(await problemOf(response));
  return (await response.json()) as T; // as the server wrote it
}

async function problemOf(response: Response): Promise<string> {
  const { problem } = (await response.json().catch(() => ({}))) as { problem?: string }; // as the server writes it
  return problem ?? `the viewer answered ${response.status}`;
}
