import { execFile } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { packageOf, trackerRequirements, trackers } from "../../src/python/trackers.ts";
import { uvRun } from "../../src/python/uv.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";
import { tinyRecipe } from "../helpers/tiny-training.ts";
import { lossesOf, tinyRun } from "../cluster/tiny-run.ts";

/* TensorBoard, W&B (offline) and MLflow (SQLite), by their own libraries: what they were told is read back by them. */

const reader = `
import glob, json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
import mlflow
from mlflow.tracking import MlflowClient
def scalars(folder):
    events = EventAccumulator(folder)
    events.Reload()
    return {tag: [e.value for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]} | {
        tag: [float(t.tensor_proto.float_val[0]) for t in events.Tensors(tag)] for tag in events.Tags()["tensors"] if events.Tensors(tag)[0].tensor_proto.float_val}
client = MlflowClient()
experiment = client.get_experiment_by_name("alpagasus")
runs = [
    {"name": run.info.run_name, "metrics": run.data.metrics, "files": [f.path for f in client.list_artifacts(run.info.run_id)],
     "losses": [m.value for m in sorted(client.get_metric_history(run.info.run_id, "loss"), key=lambda m: m.step)]}
    for run in client.search_runs([experiment.experiment_id])
]
print(json.dumps({"curve": scalars(sys.argv[1]), "report": scalars(sys.argv[2]), "mlflow": runs}))
`;

interface Read {
  readonly curve: Readonly<Record<string, readonly number[]>>;
  readonly report: Readonly<Record<string, readonly number[]>>;
  readonly mlflow: readonly {
    readonly name: string;
    readonly metrics: Readonly<Record<string, number>>;
    readonly files: readonly string[];
    readonly losses: readonly number[];
  }[];
}

test("loss curves and a report's figures are in all three trackers, as they are in the run", async () => {
  using folder = await tinyRun();
  const env = {
    ...pythonEnvironment,
    WANDB_MODE: "offline",
    WANDB_DIR: folder.path,
    MLFLOW_TRACKING_URI: `sqlite:///${folder.path}/mlflow.db`,
    MLFLOW_ARTIFACT_URI: `${folder.path}/artifacts`,
  };
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await alpagasus(args, { cwd: folder.path, env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.anything() });
    return stdout;
  };
  folder.write("training.yaml", stringify({ ...tinyRecipe, template: "alpaca" }));
  await run("train", "--recipe", "training.yaml", "--report-to", trackers.join(","));
  const training = `${folder.path}/runs/default/models/selected`;
  const losses = lossesOf(training);
  expect(losses.length).toBeGreaterThan(2);
  await run("report", "--log-to", trackers.join(","));
  const figures = JSON.parse(await run("report", "--format", "json")) as { arms: { arm: string; rows: number }[] };
  expect(figures.arms[0]!.rows).toBe(20);

  writeFileSync(`${folder.path}/read.py`, reader);
  const command = uvRun(
    ["python", `${folder.path}/read.py`, `${training}/tensorboard`, `${folder.path}/runs/default/tensorboard/default`],
    { requirements: trackerRequirements, packages: trackers.map(packageOf) },
  );
  const { stdout } = await promisify(execFile)("uv", command, {
    cwd: folder.path,
    env: { ...process.env, ...env },
    maxBuffer: 1e8,
  });
  const { curve, report, mlflow } = JSON.parse(stdout.trim().split("\n").at(-1)!) as Read;
  const close = (found: readonly number[] | undefined) => {
    expect(found).toHaveLength(losses.length);
    for (const [i, loss] of losses.entries()) expect(found![i]).toBeCloseTo(loss, 3);
  };
  close(curve["train/loss"]);
  expect(report["arm/selected/rows"]).toEqual([20]);
  const trained = mlflow.find(({ name }) => name === "selected");
  close(trained?.losses);
  const reported = mlflow.find(({ name }) => name === "default");
  expect(reported?.metrics["arm/selected/rows"]).toBe(20);
  expect(reported?.files.toSorted()).toEqual(["report.html", "report.json"]);
  const offline = readdirSync(`${folder.path}/wandb`).filter((name) => name.startsWith("offline-run-"));
  expect(offline).toHaveLength(2);
});
