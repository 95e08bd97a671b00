"""Reads job files as the schedulers' own packages do: python job-files.py FOLDER. Prints what they make of them, as JSON."""

import json
import sys

import jsonschema
import yaml
from kubeflow_trainer_api import models
from sky.utils import schemas

folder = sys.argv[1]
with open(f"{folder}/trainjob.yaml", encoding="utf-8") as file:
    written = yaml.safe_load(file)
job = models.TrainerV1alpha1TrainJob.from_dict(written)
with open(f"{folder}/sky.yaml", encoding="utf-8") as file:
    task = yaml.safe_load(file)
jsonschema.validate(task, schemas.get_task_schema())
kept = job.to_dict()
print(json.dumps({"lost": [key for key in written["spec"] if key not in kept["spec"]], "trainer": kept["spec"]["trainer"], "task": task}))
