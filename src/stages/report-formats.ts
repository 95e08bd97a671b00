import type { RunReport, StageReport } from "../page/contract.ts";
import { type ConditionResult, type Figure, listFigures } from "../page/figures.ts";
import { formatCount, formatP } from "../format.ts";
import { csvTable } from "./csv-table.ts";

/*
 * A run's figures in other formats than the page: for a summary in CI, a spreadsheet, a test report.
 */

export const reportFormats = ["html", "md", "csv", "json", "junit"] as const;
export type ReportFormat = (typeof reportFormats)[number];

/** @param conditions what `--fail-on` says, for the formats that have gates */
export function renderFigures(
  report: RunReport,
  format: Exclude<ReportFormat, "html">,
  conditions: readonly ConditionResult[],
): string {
  if (format === "json") return `${JSON.stringify(report, null, 2)}\n`;
  if (format === "csv") return csvTable(columns, listFigures(report));
  return format === "md" ? toMarkdown(report, conditions) : toJunit(report, conditions);
}

const columns = ["part", "of", "figure", "value", "low", "high", "p", "n"] as const;

const markdownEnd = "<!-- figures of a run, by alpagasus -->";

/** Whether a text is what `renderFigures` made. */
export function isRenderedFigures(text: string, format: "md" | "csv" | "junit"): boolean {
  if (format === "csv") return text.startsWith(columns.join(","));
  return format === "md" ? text.trimEnd().endsWith(markdownEnd) : text.includes('<testsuite name="alpagasus ');
}

function toMarkdown(report: RunReport, conditions: readonly ConditionResult[]): string {
  const { head, title, run, experiment, comparisons, losses, benchmarks, scores, arms } = report;
  const ofRating = scores?.alarms ?? [];
  const alarms = [
    ...ofRating,
    ...arms.flatMap((arm) =>
      arm.alarms.filter((alarm) => !ofRating.includes(alarm)).map((alarm) => `${arm.arm}: ${alarm}`),
    ),
  ];
  const published = experiment?.benchmarks?.filter(({ harness }) => harness === null) ?? [];
  const sentences = [
    ...comparisons.map(({ sentence }) => sentence),
    ...losses.flatMap(({ differences }) => differences.map(({ sentence }) => sentence)),
    ...[...benchmarks, ...published].flatMap(({ differences }) => differences.map(({ sentence }) => sentence)),
  ];
  const figures = listFigures(report);
  const parts = [...new Set(figures.map(({ part }) => part))];
  const gates = gatesOf(report, conditions);
  return `${[
    `# ${markdown(title ?? run)}`,
    markdown(head.what),
    ...(head.found === undefined ? [] : [`**${markdown(head.found)}**`]),
    ...(head.trust ? [markdown(`Should I trust this? ${head.trust.sentence}`)] : []),
    ...(sentences.length > 0 ? [sentences.map((sentence) => `- ${markdown(sentence)}`).join("\n")] : []),
    ...(alarms.length > 0 ? [alarms.map((alarm) => `- **alarm**: ${markdown(alarm)}`).join("\n")] : []),
    ...(gates.length > 0
      ? [
          gates
            .map(
              ({ group, held, name, message }) =>
                `- ${held ? "held" : "**not held**"}: ${markdown(held && group === "report" ? "report: all rows were read" : `${group}: ${name}: ${message}`)}`,
            )
            .join("\n"),
        ]
      : []),
    ...parts.map((part) =>
      markdownTable(
        part,
        figures.filter((figure) => figure.part === part),
      ),
    ),
    markdownEnd,
  ].join("\n\n")}\n`;
}

function markdownTable(part: string, figures: readonly Figure[]): string {
  const rows = figures.map(({ of, figure, value, low, high, p, n }) => [
    markdown(of),
    figure.replaceAll("_", " "),
    number(value),
    low === null || low === undefined ? "" : `${number(low)} to ${number(high ?? null)}`,
    p === undefined ? "" : formatP(p).replace("= ", ""),
    n === undefined ? "" : formatCount(n),
  ]);
  const lines = [
    [part, "figure", "value", "95 % interval", "p", "n"],
    ["---", "---", "--:", "--:", "--:", "--:"],
    ...rows,
  ];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function number(value: number | null): string {
  if (value === null) return "–";
  return Number.isInteger(value) ? formatCount(value) : value.toFixed(3);
}

/** Foreign text as text: nothing in it is markup. */
function markdown(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll(/[\\`*_[\]<>|#~]/g, String.raw`\$&`);
}

interface NamedGate {
  readonly group: string;
  readonly name: string;
  readonly held: boolean;
  readonly message: string;
}

/** The gates of all stages, and the conditions of `--fail-on`. */
function gatesOf({ stages, dataset, rows, problems }: RunReport, conditions: readonly ConditionResult[]): NamedGate[] {
  const groupOf = ({ stage, name, details }: StageReport) => {
    const isOnly = stages.filter((other) => other.stage === stage && other.name === name).length === 1;
    const judge = isOnly ? undefined : details.find(([what]) => what === "judge")?.[1];
    return `${stage} ${name}${judge === undefined ? "" : ` by ${judge}`}`;
  };
  return [
    ...stages.flatMap((stage) => stage.gates.map((gate) => ({ group: groupOf(stage), ...gate }))),
    ...(dataset === undefined
      ? []
      : [
          {
            group: "report",
            name: "rows",
            held: rows.isReady,
            message: problems.join("; ") || "the rows could not be read",
          },
        ]),
    ...conditions.map(({ condition, met }) => ({
      group: "fail-on",
      name: condition.text,
      held: met.length === 0,
      message: describeMet({ condition, met }),
    })),
  ];
}

/** What meets a condition, in a sentence. */
export function describeMet({ condition: { side }, met }: ConditionResult): string {
  if (met.length === 0) return "no figure meets it";
  return met
    .map(
      (figure) =>
        `${figure.figure}${side === "value" ? "" : `.${side}`} of ${figure.of} is ${figure[side] ?? "not known"}`,
    )
    .join("; ");
}

/** The gates as a test report, which CI systems show. */
function toJunit(report: RunReport, conditions: readonly ConditionResult[]): string {
  const gates = gatesOf(report, conditions);
  const failed = gates.filter(({ held }) => !held).length;
  const cases = gates.map(({ group, name, held, message }) => {
    const head = `    <testcase classname="${xml(group)}" name="${xml(name)}"`;
    return held ? `${head}/>` : `${head}><failure message="${xml(message)}"/></testcase>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="${xml(`alpagasus ${report.run}`)}" tests="${gates.length}" failures="${failed}">
${cases.join("\n")}
  </testsuite>
</testsuites>
`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

function xml(text: string): string {
  // what XML 1.0 does not allow, and halves of characters
  const allowed = text.toWellFormed().replaceAll(/[^\t\n\r\u0020-\uFFFD\u{10000}-\u{10FFFF}]/gu, "");
  return allowed.replaceAll(/[&<>"']/g, (char) => entities[char]!);
}
