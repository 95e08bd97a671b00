"""Loads an arm's file with `datasets`, and with LLaMA-Factory where it has a format for the shape: python their-files.py llama-factory SHAPE=FILE …

Prints the rows of `datasets`, and the answers that LLaMA-Factory finds, as JSON.
"""

import importlib.machinery
import json
import os
import sys
import tempfile
import types

os.environ["DISABLE_VERSION_CHECK"] = "1"
audio = types.ModuleType("torchaudio")
audio.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
sys.modules["torchaudio"] = audio

from datasets import load_dataset  # noqa: E402
from llamafactory.data.converter import align_dataset  # noqa: E402
from llamafactory.data.parser import get_dataset_list  # noqa: E402
from llamafactory.hparams import DataArguments  # noqa: E402
from transformers import TrainingArguments  # noqa: E402

chat = {"formatting": "sharegpt", "columns": {"messages": "messages"}}
roles = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"}
formats = {
    "alpaca": {"formatting": "alpaca"},
    "history": {
        "formatting": "alpaca",
        "columns": {"prompt": "instruction", "query": "input", "response": "output", "system": "system", "history": "history"},
    },
    "dolly": {"formatting": "alpaca", "columns": {"prompt": "instruction", "query": "context", "response": "response"}},
    "messages": {**chat, "tags": roles},
    "sharegpt": {"formatting": "sharegpt", "columns": {"messages": "conversations", "system": "system"}},
}


def load(shape, path):
    rows = load_dataset("json", data_files=path, split="train")
    found = {"datasets": list(rows)}
    if shape in formats:
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/dataset_info.json", "w", encoding="utf-8") as file:
                json.dump({"arm": {"file_name": path, **formats[shape]}}, file)
            (entry,) = get_dataset_list(["arm"], folder)
            data = DataArguments(dataset="arm", dataset_dir=folder)
            aligned = align_dataset(rows, entry, data, TrainingArguments(output_dir=folder, use_cpu=True))
            found["answers"] = [row["_response"][0]["content"] for row in aligned]
    return found


print(json.dumps([load(*given.split("=", 1)) for given in sys.argv[2:]]))
