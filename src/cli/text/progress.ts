import type { Progress } from "../../stages/progress.ts";
import { formatCount } from "../../format-count.ts";
import { formatDuration } from "./numbers.ts";

const terminalIntervalMs = 100;
const logIntervalMs = 10_000; // without a terminal: a line every ten seconds

export interface ProgressLine {
  readonly show: (progress: Progress) => void;
  /** Takes the line away, before results are printed. */
  readonly clear: () => void;
}

/** One line on stderr that is rewritten, or a line now and then where stderr is not a terminal. */
export function openProgressLine(
  stream: NodeJS.WriteStream = process.stderr,
  now: () => number = Date.now,
): ProgressLine {
  const startedAt = now();
  const interval = stream.isTTY ? terminalIntervalMs : logIntervalMs;
  let shownAt = startedAt;
  let isShown = false;
  return {
    show(progress) {
      if (now() - shownAt < interval) return;
      shownAt = now();
      const text = describeProgress(progress, shownAt - startedAt);
      if (stream.isTTY) {
        stream.write(`\r\u001b[2K${text}`);
        isShown = true;
      } else stream.write(`${text}\n`);
    },
    clear() {
      if (isShown) stream.write("\r\u001b[2K");
      isShown = false;
    },
  };
}

/** `rate: rating 120,000 rows, 98,400 rows/s, 1 min 3 s left` */
function describeProgress({ stage, doing, done, total, unit }: Progress, elapsedMs: number): string {
  if (unit === "percent") return `${stage}: ${doing} ${done} %`;
  const rate = elapsedMs > 0 ? done / (elapsedMs / 1000) : 0;
  const left = total !== undefined && rate > 0 ? `, ${formatDuration(((total - done) / rate) * 1000)} left` : "";
  return `${stage}: ${doing} ${formatCount(done)}${total === undefined ? "" : ` of ${formatCount(total)}`} rows, ${formatCount(rate)} rows/s${left}`;
}
