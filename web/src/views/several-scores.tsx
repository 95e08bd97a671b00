import { formatCount, formatShare } from "../../../src/format.ts";
import type { ArmOverlap, RunReport, ScoreAgreement } from "../../../src/page/contract.ts";
import { shortName } from "../parts/judge-name.ts";
import { Table } from "../parts/table.tsx";

/** How the run's scores agree with each other, which rows its arms share, and what becomes of watched words. */
export function SeveralScores({ report: { agreements, overlaps, arms } }: { report: RunReport }) {
  const watched = arms.filter((arm) => arm.watched);
  return (
    <>
      {agreements.length > 0 && <Agreements agreements={agreements} />}
      {overlaps.length > 0 && <Overlaps overlaps={overlaps} />}
      {watched.length > 0 && (
        <section aria-labelledby="watched">
          <h2 id="watched">Rows with certain words</h2>
          <Table
            caption="Rows with each word, and how many of them each arm keeps"
            columns={[
              { name: "word", show: ({ word }) => word, value: ({ word }) => word },
              { name: "all rows", isNumber: true, show: ({ rows }) => formatCount(rows), value: ({ rows }) => rows },
              ...watched.map(({ arm, watched: words }) => ({
                name: arm,
                isNumber: true,
                show: ({ word }: { word: string }) => {
                  const found = words!.find((other) => other.word === word);
                  return found
                    ? `${formatCount(found.kept)}${found.rows > 0 ? ` (${formatShare(found.kept / found.rows)})` : ""}`
                    : "–";
                },
                value: ({ word }: { word: string }) => words!.find((other) => other.word === word)?.kept ?? null,
              })),
            ]}
            rows={[...new Map(watched.flatMap((arm) => arm.watched!).map((one) => [one.word, one])).values()]}
          />
        </section>
      )}
    </>
  );
}

function Agreements({ agreements }: { agreements: readonly ScoreAgreement[] }) {
  const names = [...new Set(agreements.flatMap(({ a, b }) => [a, b]))];
  const between = (one: string, other: string) =>
    agreements.find(({ a, b }) => (a === one && b === other) || (a === other && b === one));
  return (
    <section aria-labelledby="agreements">
      <h2 id="agreements">How the scores agree</h2>
      <Table
        caption="Spearman's rank correlation of each two scores"
        columns={[
          { name: "score", show: (name) => shortName(name), value: (name) => name },
          ...names.map((other) => ({
            name: shortName(other),
            isNumber: true,
            show: (name: string) => (name === other ? "" : (between(name, other)?.spearman.value?.toFixed(2) ?? "–")),
            value: (name: string) => (name === other ? 1 : (between(name, other)?.spearman.value ?? null)),
          })),
        ]}
        rows={names}
      />
    </section>
  );
}

function Overlaps({ overlaps }: { overlaps: readonly ArmOverlap[] }) {
  return (
    <section aria-labelledby="overlaps">
      <h2 id="overlaps">Which rows the arms share</h2>
      <Table
        caption="Rows that each two arms share"
        columns={[
          { name: "arms", show: ({ a, b }) => `${a} and ${b}`, value: ({ a, b }) => `${a} and ${b}` },
          { name: "shared", isNumber: true, show: ({ shared }) => formatCount(shared), value: ({ shared }) => shared },
          {
            name: "of the first",
            isNumber: true,
            show: ({ shared, ofA }) => (ofA > 0 ? formatShare(shared / ofA) : "–"),
            value: ({ shared, ofA }) => (ofA > 0 ? shared / ofA : null),
          },
          {
            name: "of the second",
            isNumber: true,
            show: ({ shared, ofB }) => (ofB > 0 ? formatShare(shared / ofB) : "–"),
            value: ({ shared, ofB }) => (ofB > 0 ? shared / ofB : null),
          },
        ]}
        rows={overlaps}
      />
    </section>
  );
}
