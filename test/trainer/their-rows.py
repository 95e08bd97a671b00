"""The tokens and labels that a trainer makes of a training folder's rows: python their-rows.py axolotl|llama-factory TRAINING-FOLDER

Prints for each row all of its text, and the runs of it that are learnt, as JSON.
"""

import importlib.machinery
import json
import os
import sys
import types

import yaml

from learnt import learnt_runs


def axolotl():
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault
    from datasets import load_dataset
    from transformers import AutoTokenizer

    with open("axolotl.yaml", encoding="utf-8") as file:
        settings = DictDefault(yaml.safe_load(file))
    tokenizer = AutoTokenizer.from_pretrained(settings.base_model)
    strategy = load(tokenizer, settings, DictDefault(settings.datasets[0]))
    rows = load_dataset("json", data_files="data/train.jsonl", split="train")  # as axolotl reads them
    return tokenizer, [strategy.tokenize_prompt(row) for row in rows]


def llama_factory():
    os.environ["DISABLE_VERSION_CHECK"] = "1"
    audio = types.ModuleType("torchaudio")  # for rows with sound, which these are not
    audio.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = audio
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    with open("sft.yaml", encoding="utf-8") as file:
        given = yaml.safe_load(file)
    model, data, training, _, _ = get_train_args(given)
    parts = load_tokenizer(model)
    template = get_template_and_fix_tokenizer(parts["tokenizer"], data)
    rows = get_dataset(template, model, data, training, stage="sft", **parts)["train_dataset"]
    return parts["tokenizer"], list(rows)


os.chdir(sys.argv[2])
tokenizer, rows = {"axolotl": axolotl, "llama-factory": llama_factory}[sys.argv[1]]()
print(json.dumps([learnt_runs(tokenizer, row) for row in rows]))
