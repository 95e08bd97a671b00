"""Trains on a Ray cluster. `alpagasus train --on ray:…` submits it as a job: python ray_train.py STORAGE.

STORAGE is a folder on storage that the cluster's machines share. The folder that was submitted is copied there, unless it is there already, and
there the checkpoints and the model are written. A training that loses a machine goes on from the last checkpoint on those that are left.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import traceback

MOST_LOSSES = 3  # machines or processes that are lost without a new checkpoint between


def fail(message):
    print(f"ray_train.py: {message}", flush=True)
    sys.exit(2)


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    storage = os.path.abspath(sys.argv[1])
    if "--inside" not in sys.argv:
        bring(storage)
        start_inside(storage)
    os.chdir(storage)
    training = read("training.json")
    if os.path.isabs(training["base"]) and not os.path.exists(training["base"]):
        fail(f"{training['base']}: expected the base model there on the cluster's machines, found nothing; name a Hub id, or put the folder there")
    tell("counting tokens")
    run("rows.py")
    tell("training")
    train(training, storage)
    tell("checking")
    run("check.py")
    tell("done")


def tell(phase):
    print(f"alpagasus: {phase}", flush=True)


def run(script):
    code = subprocess.run([sys.executable, script], check=False).returncode
    if code != 0:
        sys.exit(code)


def bring(storage):
    """Copies the submitted folder, which this job began in, to the storage."""
    here = read("training.json")
    there = os.path.join(storage, "training.json")
    if os.path.exists(there):
        if read(there)["hash"] != here["hash"]:
            fail(f"{storage}: expected the same training or an empty folder, found another training; name another --storage")
        if os.path.realpath(".") != os.path.realpath(storage):
            for name in os.listdir("."):  # scripts and settings may be newer; data and checkpoints stay
                if os.path.isfile(name) and name.endswith((".py", ".yaml", ".sh", ".txt", ".json")):
                    shutil.copy(name, os.path.join(storage, f".{name}.partial"))
                    os.replace(os.path.join(storage, f".{name}.partial"), os.path.join(storage, name))
        return
    if not os.path.isdir("data"):
        fail(f"{storage}: expected the training's folder on storage that the cluster's machines share, since its data is too large to be sent; copy it there, or name that storage with --storage")
    try:
        shutil.copytree(".", storage, dirs_exist_ok=True, ignore=shutil.ignore_patterns("training.json"))
        shutil.copy("training.json", there)  # last: the folder is complete
    except OSError as error:
        fail(f"{storage}: cannot be written on the cluster: {error}; name a folder on storage that its machines share with --storage")


def start_inside(storage):
    """Starts the storage's copy of this script with the trainer's packages beside this cluster's own Python and Ray.

    Ray may unpack the job's folder anew while another machine joins: what runs for long is not read from there.
    """
    import ray

    uv = shutil.which("uv")
    if uv is None:
        fail("uv: expected it on the cluster's machines, found none; it installs PyTorch and the trainer: pip install uv")
    requirements = os.path.join(storage, "requirements-ray.txt")
    with open(os.path.join(storage, "requirements.txt"), encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("-c ")]  # Ray's own packages want versions of their own
    with open(requirements, "w", encoding="utf-8") as file:
        file.writelines(lines)
    with_parts = [uv, "run", "--no-progress", "--no-project", "--python", os.path.realpath(sys.executable), "--with-requirements", requirements]
    with_parts += ["--with", f"ray[default,train]=={ray.__version__}", "--", "python"]
    os.environ["ALPAGASUS_PYTHON"] = shlex.join(with_parts)
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # said for the workers below
    os.execv(uv, [*with_parts, os.path.join(storage, "ray_train.py"), storage, "--inside"])


def train(training, storage):
    os.environ["RAY_DEDUP_LOGS"] = "0"
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    variables = {"TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1", "TQDM_DISABLE": "1", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    ray.init(runtime_env={"py_executable": os.environ["ALPAGASUS_PYTHON"], "env_vars": variables}, log_to_driver=True)
    on_gpu = training["gpus"] > 0
    scaling = ScalingConfig(
        num_workers=training["processes"],
        use_gpu=on_gpu,
        resources_per_worker={"GPU": 1} if on_gpu else {"CPU": 1},
        placement_strategy="SPREAD" if training["nodes"] > 1 else "PACK",
    )
    losses = 0
    while True:
        before = last_step()
        try:
            TorchTrainer(
                in_folder,
                train_loop_config={"storage": storage},
                scaling_config=scaling,
                torch_config=TorchConfig(backend="nccl" if on_gpu else "gloo"),
                run_config=RunConfig(storage_path=os.path.join(storage, ".ray")),
            ).fit()
            return
        except Exception as error:  # Ray's own kinds differ by version; what it says is what tells
            said = f"{type(error).__name__}: {error}"
            losses = losses + 1 if last_step() == before else 0
            if not is_loss(said) or losses >= MOST_LOSSES:
                fail(f"the training failed: {own_words(said)}")
            print(f"alpagasus: a machine was lost; going on after step {last_step()}", flush=True)


# what Ray says of a worker that is gone, and what gloo and NCCL say in those that are left
SIGNS_OF_LOSS = re.compile(
    r"ActorDied|ActorUnavailable|NodeDied|WorkerCrashed|OwnerDied|died unexpectedly|node failure|Task was killed due to the node"
    r"|Connection (closed|reset) by peer|Broken pipe|ncclRemoteError|ncclSystemError|remote process exited|Socket Timeout|Connection refused"
)


def is_loss(said):
    return SIGNS_OF_LOSS.search(said) is not None


def own_words(said):
    """The line of our own script that says why, or else the last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line.split("train.py: ", 1)[1] for line in lines if "train.py: expected" in line), lines[-1] if lines else said)


def last_step():
    from train import last_checkpoint

    last = last_checkpoint()
    return int(last.rsplit("-", 1)[1]) if last else 0


def in_folder(config):
    """What each worker does: the same as a process that torchrun starts."""
    os.chdir(config["storage"])
    sys.path.insert(0, config["storage"])
    import train

    said = None
    try:
        train.main()
    except SystemExit as stopped:  # Ray would take it for a process that was lost
        said = str(stopped)
    except Exception as error:  # as text: the driver does not have the modules that its frames are of
        traceback.print_exc()
        said = f"{type(error).__name__}: {error}"
    if said is not None:
        raise RuntimeError(said)


if __name__ == "__main__":
    main()
