import type { Progress } from "../../stages/progress.ts";
import { formatCount, formatDuration, formatUsd } from "../../format.ts";

const terminalIntervalMs = 100;
const logIntervalMs = 10_000; // without a terminal: a line every ten seconds
const speedMs = 20_000; // the speed is averaged over this period, so work found done at the start does not count

export interface ProgressLine {
  readonly show: (progress: Progress) => void;
  /** Removes the line before results are printed. */
  readonly clear: () => void;
}

/** A line on stderr that is rewritten or, if stderr is not a terminal, a new line every ten seconds. */
export function openProgressLine(
  stream: NodeJS.WriteStream = process.stderr,
  now: () => number = Date.now,
): ProgressLine {
  const startedAt = now();
  const interval = stream.isTTY ? terminalIntervalMs : logIntervalMs;
  let shownAt = startedAt;
  let isShown = false;
  let samples: { at: number; done: number; doing: string }[] = [];
  let begun = { at: startedAt, done: 0, doing: "" };
  return {
    show(progress) {
      const at = now();
      const made = progress.done - (progress.found ?? 0);
      const doing = `${progress.stage} ${progress.doing}`;
      if (begun.doing !== "" && begun.doing !== doing) begun = { at, done: made, doing }; // each stage has its own speed
      begun.doing = doing;
      if (at - shownAt < interval) return;
      shownAt = at;
      samples = samples.filter((sample) => sample.doing === doing && at - sample.at <= speedMs);
      const before = samples[0] ?? begun;
      samples.push({ at, done: made, doing });
      const text = describeProgress(progress, (made - before.done) / Math.max(1e-3, (at - before.at) / 1000));
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

/** `184 rows/s` or, if slow, `27.2 s each` */
function describeSpeed(speed: number, unit: string): string {
  if (speed > 0 && speed < 0.5) return `${(1 / speed).toFixed(1)} s each`;
  return `${speed > 0 && speed < 10 ? speed.toFixed(1) : formatCount(speed)} ${unit}/s`;
}

/** `rate: rating 1,200 of 52,002 rows, 184 rows/s, 4 min 36 s left, $0.42 spent, 3 failed, 32 in flight, 2 waiting to be tried again` */
function describeProgress({ stage, doing, done, total, unit, calls, note }: Progress, speed: number): string {
  if (unit === "percent") return `${stage}: ${doing} ${done} %`;
  if (unit === "seconds")
    return `${stage}: ${doing}, ${formatDuration(1000 * done)} so far${note === undefined ? "" : `; ${note}`}`;
  const parts = [
    `${stage}: ${doing} ${formatCount(done)}${total === undefined ? "" : ` of ${formatCount(total)}`} ${unit}`,
    describeSpeed(speed, unit),
  ];
  if (total !== undefined && speed > 0) parts.push(`${formatDuration(((total - done) / speed) * 1000)} left`);
  if (note !== undefined) parts.push(note);
  if (calls && calls.paidUsd !== null) parts.push(`${formatUsd(calls.paidUsd)} spent`);
  if (calls) parts.push(`${formatCount(calls.failed)} failed`, `${calls.inFlight} in flight`);
  if (calls && calls.waiting > 0) parts.push(`${calls.waiting} waiting to retry`);
  return parts.join(", ") + (calls?.trouble === undefined ? "" : ` (${calls.trouble})`);
}
