import { UsageError } from "../errors.ts";
import type { Advice } from "./failure.ts";
import { join } from "node:path";
import { pythonFolder } from "./uv.ts";

/*
 * Tools that keep loss curves and figures: their Python packages, which uv installs when one is chosen.
 */

const packages = { tensorboard: "tensorboard==2.21.0", wandb: "wandb==0.31.0", mlflow: "mlflow==3.17.2" } as const;

export type Tracker = keyof typeof packages;

export const trackers = Object.keys(packages) as readonly Tracker[];

/** The packages that a tracker needs, as uv's `--with` takes them. */
export function packageOf(tracker: Tracker): string {
  return packages[tracker];
}

/** The requirements file beside a tracker's own package. */
export const trackerRequirements = join(pythonFolder, "requirements-trackers.txt");

/** What trackers want, where they fail. */
export const trackerAdvice: readonly Advice[] = [
  [
    /wandb[^\n]*(login|api[_ ]?key)|No API key configured/i,
    "Weights & Biases wants WANDB_API_KEY; or WANDB_MODE=offline, and wandb sync later",
  ],
  [
    /MlflowException[^\n]*(HTTPConnectionPool|API request)/,
    "is MLFLOW_TRACKING_URI the address of your MLflow server?",
  ],
];

/** Reads a list of trackers: `tensorboard,wandb`. @throws UsageError when one is not known, or named twice */
export function readTrackers(text: string, option: string): Tracker[] {
  const names = text.split(",").map((name) => name.trim());
  for (const [i, name] of names.entries()) {
    if (!isTracker(name))
      throw new UsageError(
        `${option}: expected ${trackers.join(", ")}, or several with commas, got ${JSON.stringify(name)}`,
      );
    if (names.indexOf(name) < i) throw new UsageError(`${option}: expected each once, got ${name} again`);
  }
  return names.filter(isTracker);
}

function isTracker(name: string): name is Tracker {
  return name in packages;
}
