"""Checks what the trainer has left in output/: is everything there, does it load, and is it what was trained?

Writes checks.json: a list of {name, held, message}.
"""

import glob
import json
import math
import os

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from launch import read_place
from rows import labelled, token_ids

OUTPUT = "output"
TOLERANCE = 0.02  # of the loss, or of 1 where it is smaller: sums in another order, and four bits


def main() -> None:
    if read_place().rank > 0:  # the first machine looks at what is saved
        return
    with open("training.json", encoding="utf-8") as file:
        training = json.load(file)
    checks = []

    def check(name, look):
        try:
            held, message = look(training)
        except Exception as error:  # whatever is wrong with the files is what is to be told
            held, message = False, f"{type(error).__name__}: {error}".splitlines()[0]
        checks.append({"name": name, "held": held, "message": message})

    check("weights", adapter_is_there if training["method"] != "full" else shards_are_there)
    check("tokenizer", tokenizer_is_there)
    check("chat template", template_is_there)
    check("loss after loading", loss_is_the_same)
    with open("checks.json", "w", encoding="utf-8") as file:
        json.dump(checks, file)


def adapter_is_there(training):
    path = f"{OUTPUT}/adapter_model.safetensors"
    if not os.path.exists(path):
        return False, f"expected {path}, found none"
    zeros, count, types = [], 0, set()
    with safe_open(path, framework="pt") as file:
        for name in file.keys():
            tensor = file.get_tensor(name)
            types.add(str(tensor.dtype).removeprefix("torch."))
            if not torch.isfinite(tensor).all():
                return False, f"{name} has values that are no numbers"
            if "lora_B" in name:  # begins at zero, and stays there when nothing was learnt
                count += 1
                if not tensor.any():
                    zeros.append(name)
    if count == 0:
        return False, "the adapter has no trained matrices"
    if zeros:
        advice = "a training of one or two steps may learn nothing: take more rows, or more epochs"
        return False, f"{len(zeros)} of {count} matrices are all zeros, as if nothing had been learnt ({zeros[0]}); {advice}"
    return True, f"an adapter of {count} matrices ({', '.join(sorted(types))}), none of them zero"


def shards_are_there(training):
    index = f"{OUTPUT}/model.safetensors.index.json"
    if os.path.exists(index):
        with open(index, encoding="utf-8") as file:
            wanted = json.load(file)["weight_map"]
        missing = sorted({shard for shard in wanted.values() if not os.path.exists(f"{OUTPUT}/{shard}")})
        if missing:
            return False, f"expected the shard {missing[0]}, found none"
    shards = sorted(glob.glob(f"{OUTPUT}/*.safetensors"))
    if not shards:
        return False, f"expected weights in {OUTPUT}/, found none"
    count, types, names = 0, set(), set()
    for shard in shards:
        with safe_open(shard, framework="pt") as file:
            for name in file.keys():
                tensor = file.get_tensor(name)
                if not torch.isfinite(tensor).all():
                    return False, f"{name} has values that are no numbers"
                types.add(str(tensor.dtype).removeprefix("torch."))
                names.add(name)
                count += tensor.numel()
    config = AutoConfig.from_pretrained(OUTPUT)
    with torch.device("meta"):
        wanted = set(AutoModelForCausalLM.from_config(config).state_dict())
    tied = {"lm_head.weight"} if getattr(config, "tie_word_embeddings", False) else set()
    missing = sorted(name for name in wanted - names - tied if not name.endswith("inv_freq"))
    if missing:
        return False, f"expected the weights {missing[0]}, found none ({len(missing)} are missing)"
    if len(types) > 1:
        return False, f"expected weights of one type, found {', '.join(sorted(types))}"
    return True, f"{count:,} weights in {len(shards)} files, {types.pop()}"


def tokenizer_is_there(training):
    tokenizer = AutoTokenizer.from_pretrained(OUTPUT)
    if tokenizer.eos_token_id is None:
        return False, "the tokenizer has no end-of-sequence token: the model would not know where to stop"
    return True, f"{len(tokenizer):,} tokens, the sequence ends with {tokenizer.eos_token}"


def template_is_there(training):
    tokenizer = AutoTokenizer.from_pretrained(OUTPUT)
    if not tokenizer.chat_template:
        return False, "the model was saved without its chat template: a server would speak another one"
    if training["chatTemplate"]:
        with open(training["chatTemplate"], encoding="utf-8") as file:
            tokenizer_here = AutoTokenizer.from_pretrained(training["base"])
            tokenizer_here.chat_template = file.read()
        for row in first_rows():
            if token_ids(tokenizer, row) != token_ids(tokenizer_here, row):
                return False, "the saved chat template is not the one that was trained with"
    return True, "the one that was trained with"


def loss_is_the_same(training):
    trained = last_evaluation()
    if trained is None:
        return False, "the trainer wrote no loss at its end"
    model, tokenizer = load(training)
    losses = []
    for row in first_rows(training.get("evaluated", "test")):
        whole, learnt = labelled(tokenizer, row, training)
        ids = torch.tensor([whole[: training["maxLength"]]], device=model.device)
        labels = ids.clone()
        labels[torch.tensor([learnt[: training["maxLength"]]], device=model.device) == 0] = -100
        if (labels != -100).sum() == 0:
            continue
        with torch.no_grad():
            losses.append(model(input_ids=ids, labels=labels).loss.item())
    loaded = sum(losses) / len(losses)
    held = math.isfinite(loaded) and abs(loaded - trained) <= TOLERANCE * max(1.0, trained)
    return held, f"{loaded:.4f} on {len(losses)} rows; {trained:.4f} at the end of training"


def load(training):
    device = "cuda" if torch.cuda.is_available() and training["gpus"] > 0 else "cpu"
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[training["precision"]]
    tokenizer = AutoTokenizer.from_pretrained(OUTPUT)
    if training["method"] == "full":
        model = AutoModelForCausalLM.from_pretrained(OUTPUT, dtype=dtype, device_map=device)
    else:
        from peft import PeftModel

        quantisation = training["quantisation"]
        config = quantisation and BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=quantisation["type"],
            bnb_4bit_use_double_quant=quantisation["nested"],
            bnb_4bit_compute_dtype=dtype,
        )
        options = {"quantization_config": config} if config else {}
        base = AutoModelForCausalLM.from_pretrained(training["base"], dtype=dtype, device_map=device, **options)
        model = PeftModel.from_pretrained(base, OUTPUT)
    return model.eval(), tokenizer


def first_rows(split="test"):
    """The first rows that were trained on, or those that were held out."""
    with open(f"data/{split}.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def last_evaluation():
    """The loss on the evaluated rows that the trainer measured last, with the model as it was in memory."""
    states = glob.glob(f"{OUTPUT}/checkpoint-*/trainer_state.json")
    if not states:
        return None
    newest = max(states, key=lambda path: int(path.split("checkpoint-")[1].split("/")[0]))
    with open(newest, encoding="utf-8") as file:
        history = json.load(file)["log_history"]
    losses = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    return losses[-1] if losses else None


if __name__ == "__main__":
    main()
