"""What the scripts share that measure rows with a model: how it is loaded, how rows are put into batches, how results are written."""

import json
import os

import torch


def say(what, value):
    print(what, json.dumps(value, allow_nan=False), flush=True)


def say_ready(model):
    commit = getattr(getattr(model, "config", None), "_commit_hash", None)  # of a model on the Hub
    said = {"device": model.device.type, "dtype": str(model.dtype).removeprefix("torch.")}
    say("ready", {**said, "commit": commit} if commit else said)


def settings(revision):
    """Bfloat16 on a GPU, float32 on a CPU."""
    return {"revision": revision, "dtype": torch.bfloat16 if torch.cuda.is_available() else torch.float32}


def is_adapter(name) -> bool:
    return os.path.exists(os.path.join(name, "adapter_config.json"))


def placed(model):
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def in_batches(tasks, most_tokens, length, run):
    """Runs batches of so many tokens at most, padding included. The longest rows are first: if memory does not suffice, that shows at once."""
    tasks = sorted(tasks, key=lambda task: -length(task))
    while tasks:
        size = max(1, most_tokens // max(length(tasks[0]), 1))
        run(tasks[:size])
        tasks = tasks[size:]


def halving(tasks, run, length):
    """The values of a batch. One that does not fit into memory is halved; of one row that does not fit, the problem is said in words."""
    try:
        return run(tasks)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if "memory" not in f"{type(error).__name__} {error}".lower():
            raise
    # out of the handler, so that what it holds is freed before another try
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(tasks) == 1:
        return [f"not enough memory for {length(tasks[0])} tokens"]
    half = len(tasks) // 2
    return halving(tasks[:half], run, length) + halving(tasks[half:], run, length)
