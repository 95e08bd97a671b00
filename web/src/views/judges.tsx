import { formatCount, formatScore, formatShare } from "../../../src/format.ts";
import type { EscalationRecord, PanelCorrection, PanelSummary } from "../../../src/run/records/rating.ts";
import type { Gate } from "../../../src/run/records/common.ts";
import { shortName } from "../parts/judge-name.ts";
import { Table } from "../parts/table.tsx";
import { Fact, WithInterval } from "../parts/words.tsx";
import { hashOf } from "../place.ts";
import { SmallHistogram } from "./references.tsx";

/** The judges of a panel: each one's scores, and how far the judges agree. */
export function Panel({ panel }: { panel: PanelSummary }) {
  const { judges, agreements, disagreements, correction, uncorrected } = panel;
  const numberOf = (name: string) => `judge ${judges.findIndex(({ judge }) => judge === name) + 1}`;
  return (
    <section aria-labelledby="panel">
      <h2 id="panel">The judges of the panel</h2>
      <div class="sides">
        {judges.map(({ judge, histogram, mean }, i) => (
          <SmallHistogram
            title={`Judge ${i + 1}, ${shortName(judge)}${mean === null ? "" : `, mean ${mean.toFixed(2)}`}`}
            bins={histogram}
          />
        ))}
      </div>
      <Table
        caption="How far the judges agree"
        columns={[
          {
            name: "judges",
            show: ({ a, b }) => `${numberOf(a)} and ${numberOf(b)}`,
            value: ({ a, b }) => `${a}, ${b}`,
          },
          { name: "rows", isNumber: true, show: ({ rows }) => formatCount(rows), value: ({ rows }) => rows },
          {
            name: "Spearman",
            isNumber: true,
            show: ({ spearman }) => <WithInterval of={spearman} />,
            value: ({ spearman }) => spearman.value,
          },
          {
            name: "weighted kappa",
            isNumber: true,
            show: ({ kappa }) => <WithInterval of={kappa} />,
            value: ({ kappa }) => kappa.value,
          },
        ]}
        rows={agreements}
        more={[
          { name: "Spearman low", value: ({ spearman }) => spearman.low },
          { name: "Spearman high", value: ({ spearman }) => spearman.high },
          { name: "kappa low", value: ({ kappa }) => kappa.low },
          { name: "kappa high", value: ({ kappa }) => kappa.high },
        ]}
      />
      {correction && <Correction correction={correction} numberOf={numberOf} />}
      {uncorrected !== undefined && (
        <p class="quiet">Scores are not corrected for the judges' errors: {uncorrected}.</p>
      )}
      {disagreements.length > 0 && (
        <Table
          caption="Rows that the judges disagree about most"
          columns={[
            {
              name: "row",
              isNumber: true,
              show: ({ index }) => <a href={hashOf("rows", { row: String(index) })}>{formatCount(index)}</a>,
              value: ({ index }) => index,
            },
            ...judges.map((_, i) => ({
              name: `judge ${i + 1}`,
              isNumber: true,
              show: ({ scores }: PanelSummary["disagreements"][number]) => {
                const score = scores[i] ?? null;
                return score === null ? "–" : formatScore(score);
              },
              value: ({ scores }: PanelSummary["disagreements"][number]) => scores[i] ?? null,
            })),
          ]}
          rows={disagreements}
        />
      )}
    </section>
  );
}

function Correction({
  correction: { judges, rows, gain },
  numberOf,
}: {
  correction: PanelCorrection;
  numberOf: (name: string) => string;
}) {
  const lines = judges.flatMap(({ judge, agreements }) =>
    agreements.flatMap(({ with: other, raw, corrected }) =>
      other === judge ? [] : [{ judge, other, raw, corrected }],
    ),
  );
  return (
    <>
      <p class="quiet">
        Estimated from {formatCount(rows)} rows without labels: nearly identical rows should score alike.{" "}
        {judges
          .map(
            ({ judge, consistentShare }) =>
              `${numberOf(judge)} is estimated to give ${formatShare(consistentShare)} of the rows their own score (less where neighbours differ in truth)`,
          )
          .join(", ")}
        . A correction is applied as far as it brings a judge closer to the others' raw scores, which it has not seen (
        {judges.map(({ judge, weight }) => `${numberOf(judge)} ${formatShare(weight)}`).join(", ")}): the mean's
        correlation with what the judges have in common is estimated to grow by a factor of {gain.value.toFixed(2)} [
        {gain.low.toFixed(2)}, {gain.high.toFixed(2)}].
      </p>
      <Table
        caption="Agreement before and after scores are corrected for each judge's errors (Spearman)"
        columns={[
          { name: "scores of", show: ({ judge }) => numberOf(judge), value: ({ judge }) => judge },
          { name: "with raw scores of", show: ({ other }) => numberOf(other), value: ({ other }) => other },
          { name: "raw", isNumber: true, show: ({ raw }) => <WithInterval of={raw} />, value: ({ raw }) => raw.value },
          {
            name: "corrected",
            isNumber: true,
            show: ({ corrected }) => <WithInterval of={corrected} />,
            value: ({ corrected }) => corrected.value,
          },
        ]}
        rows={lines}
      />
    </>
  );
}

/** The result of a student that escalated rows to another judge where it was not sure. */
export function EscalationFacts({ escalation }: { escalation: EscalationRecord }) {
  const { student, to, asked, audited, rows, minScore, kept, precision, recall, alone } = escalation;
  const share = (value: number | null) => (value === null ? "–" : formatShare(value));
  return (
    <section aria-labelledby="escalation">
      <h2 id="escalation">
        {shortName(student)}, and {shortName(to)} where it is not sure
      </h2>
      <dl class="facts">
        <Fact name="rows escalated" note={formatShare(asked / rows)}>
          {formatCount(asked)}
        </Fact>
        <Fact name={`rows that reach ${formatScore(minScore)}`}>{formatCount(kept)}</Fact>
        <Fact name="precision" note={`estimated; the student alone ${share(alone.precision)}`}>
          <WithInterval of={precision} asShare />
        </Fact>
        <Fact name="recall" note={`estimated; the student alone ${share(alone.recall)}`}>
          <WithInterval of={recall} asShare />
        </Fact>
      </dl>
      <p class="quiet">
        Compared with {shortName(to)} rating every row; 95 % intervals.
        {audited > 0 &&
          ` ${formatCount(audited)} of the escalated rows were drawn at random as an audit of what is kept: the figures are based on them, not on the student's own estimates.`}
      </p>
    </section>
  );
}

/** How the judge rated anchor rows, whose order is known. */
export function Checks({ checks }: { checks: readonly (Gate & { readonly isUnknown?: boolean | undefined })[] }) {
  const word = ({ held, isUnknown }: (typeof checks)[number]) => (held ? "yes" : isUnknown ? "not known" : "no");
  return (
    <section aria-labelledby="checks">
      <h2 id="checks">How the judge rated rows whose order is known</h2>
      <Table
        caption="Checks before the rating"
        columns={[
          { name: "check", show: ({ name }) => name, value: ({ name }) => name },
          { name: "passed", show: word, value: word },
          { name: "measured", show: ({ message }) => message, value: ({ message }) => message },
        ]}
        rows={checks}
        isMarked={({ held }) => !held}
      />
    </section>
  );
}
