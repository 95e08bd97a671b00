"""Starts the training on this machine: a process for each GPU, or those on the CPU, through torchrun. Where several machines train together,
each of them runs it.

Which of how many machines this is follows from what the scheduler sets: Kubeflow's PET_*, SkyPilot's SKYPILOT_*, Slurm's SLURM_*; on plain
machines from NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT.
"""

import json
import os
import subprocess
import sys
from typing import NamedTuple

PORT = 29500
WAIT = 3600  # seconds for the other machines: each may have gigabytes to install first


class Place(NamedTuple):
    """Which of how many machines this is, and where the first one is."""

    nodes: int
    rank: int
    host: str
    port: int
    told: str


def fail(message):
    print(f"launch.py: {message}", file=sys.stderr, flush=True)
    sys.exit(2)


def read_place(environment=os.environ):
    """This machine's place. The first scheduler that says so counts; without any it is alone."""
    if "NNODES" in environment:
        nodes = whole(environment, "NNODES", 1)
        rank = whole(environment, "NODE_RANK", 0) if nodes > 1 else 0
        host = environment.get("MASTER_ADDR", "") if nodes > 1 else "127.0.0.1"
        place = Place(nodes, rank, host, whole(environment, "MASTER_PORT", 1, PORT), "NNODES")
    elif "PET_NNODES" in environment:
        nodes = whole(environment, "PET_NNODES", 1)
        rank = whole(environment, "PET_NODE_RANK", 0) if nodes > 1 else 0
        place = Place(nodes, rank, environment.get("PET_MASTER_ADDR", ""), whole(environment, "PET_MASTER_PORT", 1, PORT), "PET_NNODES")
    elif "SKYPILOT_NUM_NODES" in environment:
        nodes = whole(environment, "SKYPILOT_NUM_NODES", 1)
        hosts = environment.get("SKYPILOT_NODE_IPS", "").split()
        place = Place(nodes, whole(environment, "SKYPILOT_NODE_RANK", 0), hosts[0] if hosts else "", PORT, "SKYPILOT_NUM_NODES")
    elif "SLURM_JOB_ID" in environment:
        place = slurm_place(environment)
    else:
        place = Place(1, 0, "127.0.0.1", PORT, "nothing")
    if place.rank >= place.nodes:
        fail(f"{place.told}: expected a rank under the number of machines, {place.nodes}, got {place.rank}; number them from 0")
    if place.nodes > 1 and not place.host:
        fail(f"{place.told}: expected the first machine's address beside {place.nodes} machines, got none; set MASTER_ADDR")
    return place


def slurm_place(environment):
    """A job step has one task a machine; a batch script that was not started by srun would wait for the others for ever."""
    in_step = "SLURM_STEP_NODELIST" in environment and environment.get("SLURM_STEP_ID", "").isdigit()
    nodes = whole(environment, "SLURM_STEP_NUM_NODES" if in_step else "SLURM_JOB_NUM_NODES", 1, 1)
    if nodes > 1 and not in_step:
        fail(f"SLURM_JOB_NUM_NODES: expected the script once on each of {nodes} machines, got it on the first alone; start it with: srun --ntasks-per-node=1 sh run.sh")
    if in_step and whole(environment, "SLURM_STEP_NUM_TASKS", 1, nodes) != nodes:
        fail(f"SLURM_STEP_NUM_TASKS: expected one task on each of {nodes} machines, got {environment['SLURM_STEP_NUM_TASKS']} in all; start it with: srun --ntasks-per-node=1 sh run.sh")
    if nodes == 1:
        return Place(1, 0, "127.0.0.1", PORT, "SLURM_JOB_ID")
    listed = environment["SLURM_STEP_NODELIST"]
    try:
        hosts = subprocess.run(["scontrol", "show", "hostnames", listed], capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        fail(f"scontrol: expected the names of {listed}, it failed: {error}; set NNODES, NODE_RANK and MASTER_ADDR instead")
    port = 20000 + whole(environment, "SLURM_JOB_ID", 0) % 20000  # two jobs may share a machine
    return Place(nodes, whole(environment, "SLURM_NODEID", 0), hosts[0], port, "SLURM_STEP_NUM_NODES")


def whole(environment, name, least, otherwise=None):
    text = environment.get(name, "" if otherwise is None else str(otherwise))
    if not text.isdigit() or int(text) < least:
        fail(f"{name}: expected a whole number from {least}, got {text!r}")
    return int(text)


def processes_here(training, place):
    """How many processes this machine runs; all machines run as many."""
    wanted = training["processes"]
    if wanted % place.nodes:
        fail(f"{place.told}: expected machines that {wanted} processes can be shared among evenly, got {place.nodes}; start as many as divide {wanted}")
    here = wanted // place.nodes
    if training["gpus"] > 0:
        import torch

        found = torch.cuda.device_count()
        if found < here:
            fail(f"expected {here} GPUs on this machine ({wanted} in all on {place.nodes}), found {found}; ask the scheduler for more, or write the folder again with --gpus {found * place.nodes}")
    return here


def main():
    with open("training.json", encoding="utf-8") as file:
        training = json.load(file)
    place = read_place()
    here = processes_here(training, place)
    if training["gpus"] == 0 and training["processes"] > 1:  # torchrun would give each a single core
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // here)))
    command = [sys.executable]
    if training["processes"] > 1:
        command += ["-m", "torch.distributed.run", "--nproc-per-node", str(here)]
        if place.nodes == 1:
            command += ["--standalone"]
        else:
            command += ["--nnodes", str(place.nodes), "--node-rank", str(place.rank), "--rdzv-conf", f"timeout={WAIT}"]
            command += ["--master-addr", place.host, "--master-port", str(place.port)]
    os.environ["PYTHONUNBUFFERED"] = "1"  # each step is told when it is made
    for name in [name for name in os.environ if name.startswith("PET_")]:
        del os.environ[name]  # torchrun would read them beside these arguments
    os.execv(sys.executable, [*command, "train.py"])


if __name__ == "__main__":
    main()
