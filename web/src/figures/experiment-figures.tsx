import * as Plot from "@observablehq/plot";
import { formatDuration, formatUsd } from "../../../src/format.ts";
import type { StageReport } from "../../../src/page/contract.ts";
import type { ExperimentArm, MatchResult } from "../../../src/run/records/experiment.ts";
import { Figure } from "../parts/figure.tsx";
import { around } from "./outcome-figures.tsx";

/*
 * The figures of an experiment: its trainings, its seeds, its stages.
 */

const line = 34; // pixels for each bar
const head = 58;
const colours = ["--line-1", "--line-2", "--line-3", "--line-4", "--kept", "--counted"] as const;

/** Loss by step, one line for each training. */
export function LossCurves({ arms }: { arms: readonly ExperimentArm[] }) {
  const trained = arms.filter(({ trainings }) => trainings.some(({ lossCurve }) => lossCurve.length > 1));
  if (trained.length === 0) return null;
  const points = trained.flatMap(({ arm, trainings }) =>
    trainings.flatMap(({ seed, lossCurve }) =>
      lossCurve.map(({ step, loss }) => ({ arm, training: `${arm} ${seed ?? ""}`, step, loss })),
    ),
  );
  const colourOf = (arm: string) => colours[trained.findIndex((other) => other.arm === arm) % colours.length]!;
  return (
    <Figure
      title="Loss while training"
      label={`Loss by step. ${trained.map(({ arm, trainings }) => `${arm}: ${trainings.map(({ lossCurve }) => `from ${lossCurve[0]?.loss.toFixed(3)} to ${lossCurve.at(-1)?.loss.toFixed(3)}`).join(", ")}`).join("; ")}`}
      height={280}
      from={[JSON.stringify(points)]}
      legend={trained.map(({ arm }) => ({ colour: colourOf(arm), name: arm }))}
      note="Loss on the training rows, one line for each training. Arms have different rows, so a lower loss does not mean a better model."
      draw={() => ({
        marginLeft: 48,
        marginBottom: 40,
        x: { label: "step", grid: true },
        y: { label: "loss", grid: true },
        marks: [
          Plot.line(points, {
            x: "step",
            y: "loss",
            z: "training",
            stroke: ({ arm }: (typeof points)[number]) => `var(${colourOf(arm)})`,
            strokeWidth: 1.5,
          }),
        ],
      })}
    />
  );
}

/** The winning score of each seed, with the interval over all of them. */
export function SeedSpread({ matches }: { matches: readonly MatchResult[] }) {
  const several = matches.filter(({ seeds, pooled }) => seeds.length > 1 && pooled.winningScore.value !== null);
  if (several.length === 0) return null;
  const hasJudges = new Set(several.map(({ judge }) => judge)).size > 1;
  const nameOf = ({ a, b, judge }: Pick<MatchResult, "a" | "b" | "judge">) =>
    `${a} – ${b}${hasJudges ? `, ${judge}` : ""}`;
  const points = several.flatMap((match) =>
    match.seeds.flatMap(({ winningScore }) =>
      winningScore === null ? [] : [{ match: nameOf(match), value: winningScore }],
    ),
  );
  const all = several.map((match) => ({ match: nameOf(match), ...match.pooled.winningScore }));
  return (
    <Figure
      title="Winning score by seed"
      label={several
        .map(
          (match) =>
            `${nameOf(match)}: ${match.seeds.map(({ winningScore }) => winningScore?.toFixed(3) ?? "–").join(", ")}`,
        )
        .join("; ")}
      height={head + line * several.length}
      from={[JSON.stringify([points, all])]}
      note="Dots: trainings with different seeds. Lines: the 95 % interval over prompts and trainings."
      draw={() => ({
        marginLeft: 160,
        marginBottom: 36,
        marginTop: 8,
        x: {
          label: "winning score",
          grid: true,
          domain: around(
            [
              ...all.map(({ value, low, high }) => ({ value: value!, low, high })),
              ...points.map(({ value }) => ({ value, low: null, high: null })),
            ],
            1,
          ),
        },
        y: { label: null, domain: several.map(nameOf), type: "point" },
        marks: [
          Plot.ruleX([1], { stroke: "var(--ink)", strokeDasharray: "4 3" }),
          Plot.ruleY(all, { y: "match", x1: "low", x2: "high", stroke: "var(--kept)", strokeWidth: 2.5 }),
          Plot.dot(points, { y: "match", x: "value", fill: "var(--line-1)", r: 4 }),
        ],
      })}
    />
  );
}

/** How long each stage took, and what it cost. */
export function StageTimes({ stages }: { stages: readonly StageReport[] }) {
  const names = [...new Set(stages.map(({ stage }) => stage))];
  const bars = names.map((stage) => {
    const own = stages.filter((other) => other.stage === stage);
    const paid = own.reduce((sum, { paidUsd }) => sum + (paidUsd ?? 0), 0);
    return { stage, minutes: own.reduce((sum, { wallMs }) => sum + wallMs, 0) / 60_000, paid };
  });
  const tell = ({ minutes, paid }: (typeof bars)[number]) =>
    `${formatDuration(60_000 * minutes)}${paid > 0 ? `, ${formatUsd(paid)}` : ""}`;
  return (
    <Figure
      title="Time and money by stage"
      label={bars.map((bar) => `${bar.stage}: ${tell(bar)}`).join("; ")}
      height={head + line * bars.length}
      from={[JSON.stringify(bars)]}
      note="The last run of each stage. Money counts calls to models only; the cost of training is in the table of arms."
      draw={() => ({
        marginLeft: 100,
        marginRight: 130,
        marginBottom: 36,
        marginTop: 8,
        x: { label: "minutes", grid: true },
        y: { label: null, domain: names, padding: 0.25 },
        marks: [
          Plot.barX(bars, { y: "stage", x: "minutes", fill: "var(--kept)" }),
          Plot.text(bars, { y: "stage", x: "minutes", text: tell, dx: 5, textAnchor: "start", fill: "var(--ink)" }),
        ],
      })}
    />
  );
}
