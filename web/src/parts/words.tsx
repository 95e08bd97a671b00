import type { ComponentChildren } from "preact";
import type { TrustReport } from "../../../src/health/trust.ts";
import { formatScore, formatShare } from "../../../src/format.ts";
import type { ComparisonRecord } from "../../../src/run/records/comparison.ts";

export type Figured = ComparisonRecord["winningScore"];

/** `1.439 [1.344, 1.533]` */
export function WithInterval({
  of: { value, low, high },
  asShare = false,
  write = asShare ? formatShare : (number) => number.toFixed(3),
}: {
  of: Figured;
  asShare?: boolean;
  write?: ((value: number) => string) | undefined;
}) {
  if (value === null) return <span class="quiet">–</span>;
  return (
    <span>
      {write(value)}{" "}
      {low !== null && high !== null && (
        <span class="interval">
          [{write(low)}, {write(high)}]
        </span>
      )}
    </span>
  );
}

/** A fact with its name: `355` rows kept. */
export function Fact({
  name,
  children,
  note,
}: {
  name: string;
  children: ComponentChildren;
  note?: ComponentChildren | undefined;
}) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>
        <b>{children}</b>
        {note !== undefined && <span class="quiet">{note}</span>}
      </dd>
    </div>
  );
}

export function Score({ of, digits }: { of: number | null; digits?: number }) {
  if (of === null) return <span class="quiet">–</span>;
  return <>{digits === undefined ? formatScore(of) : of.toFixed(digits)}</>;
}

/** Something to read before trusting the figures. */
export function Notice({ kind, children }: { kind: "alarm" | "note"; children: ComponentChildren }) {
  return (
    <p class={`notice ${kind}`}>
      <strong>{kind === "alarm" ? "Careful:" : "Note:"}</strong> {children}
    </p>
  );
}

/** Whether to trust a result, in one line. */
export function TrustLine({ trust: { answer, sentence } }: { trust: TrustReport }) {
  return (
    <p class={`trust ${answer.replace(" ", "-")}`}>
      <strong>Should I trust this?</strong> {sentence}
    </p>
  );
}
