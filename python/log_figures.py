"""Logs a run's figures, and files with them: python log_figures.py JOB.json.

The job has tool (tensorboard, wandb, mlflow), name, project, folder (for TensorBoard), figures (a list of name and value) and files. The places are
those that the tools' own variables name: WANDB_*, MLFLOW_*.
"""

import json
import os
import re
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    figures = {figure["name"]: figure["value"] for figure in job["figures"]}
    place = {"tensorboard": to_tensorboard, "wandb": to_wandb, "mlflow": to_mlflow}[job["tool"]](job, figures)
    print(f"alpagasus: logged to {place}", flush=True)


def to_tensorboard(job, figures):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder = os.path.join(job["folder"], job["name"])
    writer = EventFileWriter(folder)
    for name, value in figures.items():
        writer.add_event(Event(summary=Summary(value=[Summary.Value(tag=name, simple_value=value)]), step=0))
    writer.close()
    return f"{folder} (figures alone; TensorBoard keeps no files)"


def to_wandb(job, figures):
    import wandb

    run = wandb.init(project=os.environ.get("WANDB_PROJECT", job["project"]), name=job["name"], job_type="report")
    run.summary.update(figures)
    artifact = wandb.Artifact(re.sub(r"[^\w.-]", "_", f"{job['name']}-report"), type="report")
    for path in job["files"]:
        artifact.add_file(path)
    run.log_artifact(artifact)
    place = run.url or f"{os.path.dirname(run.dir)} (offline; wandb sync sends it)"
    run.finish()
    return place


def to_mlflow(job, figures):
    import mlflow

    mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", job["project"]))
    with mlflow.start_run(run_name=job["name"]) as run:
        mlflow.log_metrics(figures)
        for path in job["files"]:
            mlflow.log_artifact(path)
        return f"{mlflow.get_tracking_uri()}, run {run.info.run_id}"


if __name__ == "__main__":
    main()
