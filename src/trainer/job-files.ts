import { stringify } from "yaml";
import type { TrainingPlan } from "./plan-training.ts";

/*
 * Files with which a scheduler starts a training folder on several machines: Slurm, Kubeflow's trainer on Kubernetes, SkyPilot. Each
 * runs `run.sh` once on every machine.
 */

const image = "ghcr.io/astral-sh/uv:python3.11-bookworm"; // has uv, and Python 3.11
const claim = "alpagasus"; // the volume that holds the folder, by its claim's name

/** The texts of the files, by name. @param model the training's name */
export function jobFiles(plan: TrainingPlan, model: string): Readonly<Record<string, string>> {
  return {
    "job.sbatch": slurmJob(plan, model),
    "trainjob.yaml": kubeflowJob(plan, model),
    "sky.yaml": skyTask(plan, model),
  };
}

function slurmJob({ nodes, gpus, processes }: TrainingPlan, model: string): string {
  const here = processes / nodes;
  const options = [
    `--job-name=${model}`,
    `--nodes=${nodes}`,
    "--ntasks-per-node=1",
    gpus > 0 ? `--gpus-per-node=${here}` : `--cpus-per-task=${here}`,
    ...(gpus > 0 ? [`--cpus-per-gpu=${cpusPerGpu}`] : []),
    "--requeue",
    "--open-mode=append",
    "--output=slurm.log",
  ];
  return `#!/bin/bash
# Slurm: sbatch job.sbatch, in this folder, on storage that all machines share. Add what your cluster wants (--partition, --account, --time).
# A job that is put back into the queue goes on from the last checkpoint.
${options.map((option) => `#SBATCH ${option}`).join("\n")}
srun --kill-on-bad-exit=1 sh run.sh
`;
}

const cpusPerGpu = 4; // to read rows and to start; Slurm gives one otherwise

function kubeflowJob({ nodes, gpus, processes }: TrainingPlan, model: string): string {
  const here = processes / nodes;
  const name = kubernetesName(model);
  const job = {
    apiVersion: "trainer.kubeflow.org/v1alpha1",
    kind: "TrainJob",
    metadata: { name },
    spec: {
      runtimeRef: { name: "torch-distributed" },
      trainer: {
        image,
        command: ["sh", `/training/${model}/run.sh`],
        numNodes: nodes,
        numProcPerNode: here,
        resourcesPerNode:
          gpus > 0 ? { limits: { "nvidia.com/gpu": String(here) } } : { requests: { cpu: String(here) } },
      },
      runtimePatches: [
        {
          manager: "alpagasus",
          trainingRuntimeSpec: {
            template: {
              spec: {
                replicatedJobs: [
                  {
                    name: "node",
                    template: {
                      spec: {
                        template: {
                          spec: {
                            volumes: [{ name: "training", persistentVolumeClaim: { claimName: claim } }],
                            containers: [
                              { name: "node", volumeMounts: [{ name: "training", mountPath: "/training" }] },
                            ],
                          },
                        },
                      },
                    },
                  },
                ],
              },
            },
          },
        },
      ],
    },
  };
  return `# Kubernetes with Kubeflow's trainer (version 2): kubectl create -f trainjob.yaml
# Copy this folder to the volume of the claim ${claim} first (ReadWriteMany), as ${model}/.
${stringify(job)}`;
}

/** A name as Kubernetes takes it: small letters, digits and hyphens. */
function kubernetesName(model: string): string {
  const name = model
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  return `train-${name || "model"}`.slice(0, 50).replace(/-+$/, "");
}

function skyTask({ nodes, gpus, processes, settings }: TrainingPlan, model: string): string {
  const here = processes / nodes;
  const task = {
    name: kubernetesName(model),
    num_nodes: nodes,
    resources: gpus > 0 ? { accelerators: `${acceleratorName(settings.hardware.gpu)}:${here}` } : { cpus: `${here}+` },
    file_mounts: { "/training": { name: `alpagasus-${kubernetesName(model)}`, source: ".", mode: "MOUNT_CACHED" } },
    setup: "command -v uv || pip install uv",
    run: "cd /training && sh run.sh",
  };
  return `# SkyPilot: sky launch sky.yaml, in this folder (sky jobs launch sky.yaml on machines that can be taken away). The folder becomes a bucket that
# all machines see, and the trained model is in its output/. The bucket's name has to be your own: change it where it is taken.
${stringify(task)}`;
}

/** SkyPilot's name of a GPU, as far as it follows from the recipe's: `A100-80GB`, `A100`, `H100`. */
function acceleratorName(gpu: string): string {
  const [, kind = gpu, memory] = /^(\S+)(?:\s+(\d+)\s*GB)?$/.exec(gpu) ?? [];
  return kind === "A100" && memory === "80" ? "A100-80GB" : kind.replaceAll(/\s+/g, "-");
}
