import type { EmbeddedReport } from "../../src/page/contract.ts";
import { beginningOf, searchTextOfRow } from "../../src/page/search-terms.ts";
import { searchTextOf, selectPairs } from "../../src/page/select-pairs.ts";
import { selectRows, type CarriedRow } from "../../src/page/select-rows.ts";
import type { Source } from "./source.ts";

/** The data source of a report: the rows and pairs embedded in its HTML. */
export function carriedSource({ report, rows, pairs, leftOut }: EmbeddedReport): Source {
  const carriedRows = rows.map((row): CarriedRow => {
    const { instructionText, inputText, outputText } = row;
    const detail = {
      ...row,
      instruction: beginningOf(instructionText.text),
      output: beginningOf(outputText.text),
    };
    const search = searchTextOfRow({
      instruction: instructionText.text,
      input: inputText.text,
      output: outputText.text,
      id: row.id,
    });
    return { detail, search };
  });
  const carriedPairs = pairs.map((pair) => {
    const detail = { ...pair, instruction: beginningOf(pair.instructionText?.text ?? "") };
    return { detail, line: detail, search: searchTextOf(detail) };
  });
  return {
    leftOut,
    follow(onReport) {
      onReport(report);
      return () => {};
    },
    rows: async (query) => ({ ...selectRows(carriedRows, query), searched: rows.length }),
    row: async (index) => carriedRows.find(({ detail }) => detail.index === index)?.detail,
    pairs: async (query) => selectPairs(carriedPairs, query),
    pair: async ({ comparison, set, id }) =>
      carriedPairs.find(({ detail: pair }) => pair.comparison === comparison && pair.set === set && pair.id === id)
        ?.detail,
  };
}
