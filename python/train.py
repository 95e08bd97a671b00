"""Trains with TRL's `sft`, as one of the processes that train together. torchrun, Ray or nothing but Python starts it.

Before the first step it sees to it that as many processes came as the training is planned for, and that all of them see the same folder.
Continues from the last checkpoint that is complete.
"""

import glob
import json
import os
import sys
import time
import uuid

SEEN_WITHIN = 60  # seconds until a new file is seen on every machine of a network file system


def main():
    with open("training.json", encoding="utf-8") as file:
        training = json.load(file)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world != training["processes"]:
        sys.exit(
            f"train.py: expected {training['processes']} processes, which share the rows of a step, got {world};"
            " start the training with run.sh, or plan it for as many with --gpus or --processes"
        )
    import trl
    from trl.scripts import sft

    script, settings, model, datasets = sft.make_parser().parse_args_and_config(["--config", "sft.yaml"])
    if world > 1:
        expect_one_folder(settings)
    settings.resume_from_checkpoint = last_checkpoint()
    report(settings)
    if training.get("shardedCheckpoints"):
        trl.SFTTrainer = saving_whole_at_the_end(trl.SFTTrainer)
    began = time.monotonic()
    sft.main(script, settings, model, datasets)
    if os.environ.get("RANK", "0") == "0":
        with open("runtime.json", "w", encoding="utf-8") as file:
            json.dump({"seconds": round(time.monotonic() - began, 3)}, file)


def report(settings):
    """Sends the loss curve to the trackers of REPORT_TO. A training that is started again goes on in its own run of W&B."""
    tools = os.environ.get("REPORT_TO", "").replace(",", " ").split()
    if not tools:
        return
    settings.report_to = tools
    settings.run_name = os.path.basename(os.getcwd())
    for name, value in {
        "TENSORBOARD_LOGGING_DIR": "tensorboard",
        "WANDB_PROJECT": "alpagasus",
        "WANDB_RUN_ID": run_id(),
        "WANDB_RESUME": "allow",
        "MLFLOW_EXPERIMENT_NAME": "alpagasus",
    }.items():
        os.environ.setdefault(name, value)


def run_id():
    """The name of this training among trackers: made at its first start, so that the same settings trained elsewhere have another."""
    if os.environ.get("RANK", "0") != "0":
        return ""  # the first process alone reports
    try:
        with open("tracker-run.txt", encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        made = uuid.uuid4().hex
        with open("tracker-run.txt", "w", encoding="utf-8") as file:
            file.write(made + "\n")
        return made


def last_checkpoint():
    """The newest checkpoint that is complete: its state is written last."""
    states = glob.glob("output/checkpoint-*/trainer_state.json")
    for path in sorted(states, key=lambda path: int(path.split("checkpoint-")[1].split("/")[0]), reverse=True):
        try:
            with open(path, encoding="utf-8") as file:
                json.load(file)
            return os.path.dirname(path)
        except ValueError:  # a process was ended while it wrote it
            continue
    return None


def expect_one_folder(settings):
    """Ends where the machines see different folders: each would begin at another checkpoint, or look for parts that others hold."""
    from accelerate import PartialState
    from accelerate.utils import gather_object

    _ = settings.device  # joins the other processes
    state = PartialState()
    mark = [f"output/.seen-by-all-{uuid.uuid4().hex}" if state.is_main_process else None]
    mark = next(name for name in gather_object(mark) if name)
    if state.is_main_process:
        os.makedirs("output", exist_ok=True)
        open(mark, "w").close()
    state.wait_for_everyone()
    sees = gather_object([(is_there(mark), last_checkpoint(), os.uname().nodename)])
    state.wait_for_everyone()
    if state.is_main_process:
        os.remove(mark)
    blind = sorted({node for seen, last, node in sees if not seen or last != sees[0][1]})
    if blind:
        sys.exit(
            f"train.py: expected the folder on storage that all machines share, but {', '.join(blind)} does not see what the first one writes;"
            " move the folder there, and start it on all machines again"
        )


def is_there(path):
    end = time.monotonic() + (0 if os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE") else SEEN_WITHIN)
    folder, name = os.path.split(path)
    while not os.path.isdir(folder) or name not in os.listdir(folder):  # reads the folder anew
        if time.monotonic() >= end:
            return False
        time.sleep(1)
    return True


def saving_whole_at_the_end(trainer):
    """The trainer, whose checkpoints are in parts and whose last model is whole, as servers want it."""

    class Whole(trainer):
        def save_model(self, output_dir=None, _internal_call=False):
            plugin = getattr(self.accelerator.state, "fsdp_plugin", None)
            if plugin is None or _internal_call:
                return super().save_model(output_dir, _internal_call)
            parts = plugin.state_dict_type
            plugin.set_state_dict_type("FULL_STATE_DICT")
            try:
                return super().save_model(output_dir, _internal_call)
            finally:
                plugin.set_state_dict_type(str(parts).rsplit(".", 1)[-1])

    return Whole


if __name__ == "__main__":
    main()
