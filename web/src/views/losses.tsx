import { formatCount } from "../../../src/format.ts";
import type { LossSummary } from "../../../src/run/records/losses.ts";
import { DifferencesTable } from "../parts/differences.tsx";
import { Table } from "../parts/table.tsx";
import { WithInterval } from "../parts/words.tsx";

/** Each model's loss on held-out answers, and how arms differ. */
export function Losses({ losses }: { losses: Pick<LossSummary, "data" | "models" | "differences"> }) {
  const { data, models, differences } = losses;
  return (
    <section aria-label={`Loss on the answers of ${data}`}>
      <h2>Loss on held-out answers</h2>
      <p class="quiet">
        How unlikely each model finds the answers of {data}, none of whose prompts it was trained on: lower is likelier.
        It favours models that write in the style of those answers, so it stands beside win rates and not in their
        place.
      </p>
      <Table
        caption="Loss of each model"
        columns={[
          { name: "model", show: ({ model }) => model, value: ({ model }) => model },
          { name: "prompts", show: ({ template }) => template, value: ({ template }) => template },
          {
            name: "loss",
            isNumber: true,
            show: ({ loss }) => <WithInterval of={loss} />,
            value: ({ loss }) => loss.value,
          },
          { name: "answers", isNumber: true, show: ({ items }) => formatCount(items), value: ({ items }) => items },
        ]}
        rows={models}
        more={[
          { name: "low", value: ({ loss }) => loss.low },
          { name: "high", value: ({ loss }) => loss.high },
        ]}
      />
      {differences.length > 0 && (
        <>
          <DifferencesTable
            caption="Differences of losses, answer by answer"
            rows={differences}
            name={({ a, b }) => `${b} minus ${a}`}
          />
          {differences.map(({ sentence }) => (
            <p>{sentence}</p>
          ))}
        </>
      )}
    </section>
  );
}
