"""Scores answers with a reward model: a sequence-classification model with one output.

Usage: python reward.py MODEL REVISION MAX_LENGTH: a folder or a Hub id, its commit or "-", tokens

Reads blocks of rows from standard input, a JSON array a line, and writes one line for each batch of results, in any order: "measured "
and a JSON array. A row has a number (id), a prompt (messages, with the template's options) and an answer (a message). A result holds the
reward, or the problem. It ends when standard input does.
"""

import json
import math
import os
import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from rows import token_ids, what_is_left_out

BATCH_TOKENS = 1024 if not torch.cuda.is_available() else 32768  # padding included


def main(name: str, revision: str, longest: int) -> None:
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    revision = None if revision == "-" else revision
    tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    model = load(name, revision)
    config = model.config.get_text_config()
    longest = min(longest, getattr(config, "max_position_embeddings", None) or sys.maxsize)
    say("ready", {"device": model.device.type, "dtype": str(model.dtype).removeprefix("torch.")})
    for line in sys.stdin:
        measure(model, tokenizer, longest, json.loads(line))


def load(name, revision):
    on_gpu = torch.cuda.is_available()
    settings = {"revision": revision, "dtype": torch.bfloat16 if on_gpu else torch.float32}
    if os.path.exists(os.path.join(name, "adapter_config.json")):
        from peft import AutoPeftModelForSequenceClassification

        model = AutoPeftModelForSequenceClassification.from_pretrained(name, num_labels=1, **settings).merge_and_unload()
    else:
        model, how = AutoModelForSequenceClassification.from_pretrained(name, output_loading_info=True, **settings)
        missing = sorted(how["missing_keys"])
        if missing:  # they would be drawn at random
            sys.exit(f"ValueError: expected a reward model, got one without the weights {', '.join(missing)[:200]}")
    if model.config.num_labels != 1:
        sys.exit(f"ValueError: expected a reward model with one output, got one with {model.config.num_labels}")
    return model.to("cuda" if on_gpu else "cpu").eval()


def measure(model, tokenizer, longest, rows):
    tasks = []
    for row in rows:
        try:
            tokens = tokens_of(tokenizer, row)
        except Exception as error:  # such as half a character, or a template that does not take the row
            say("measured", [{"id": row["id"], "cut": False, "problem": f"its tokens cannot be made: {error}"[:300]}])
            continue
        if len(tokens["input_ids"]) > longest:  # the score of a part would be another answer's
            problem = f"{len(tokens['input_ids'])} tokens, more than the model is given ({longest})"
            say("measured", [{"id": row["id"], "cut": True, "problem": problem}])
        else:
            tasks.append((row["id"], tokens))
    tasks.sort(key=lambda task: -len(task[1]["input_ids"]))
    while tasks:
        size = max(1, BATCH_TOKENS // max(len(tasks[0][1]["input_ids"]), 1))
        say("measured", measure_batch(model, tokenizer, tasks[:size]))
        tasks = tasks[size:]


def measure_batch(model, tokenizer, tasks):
    try:
        found = rewards(model, tokenizer, [tokens for _, tokens in tasks])
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if "memory" not in f"{type(error).__name__} {error}".lower():
            raise
        found = None  # freed before another try
    if found is None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(tasks) == 1:
            problem = f"not enough memory for {len(tasks[0][1]['input_ids'])} tokens"
            return [{"id": tasks[0][0], "cut": False, "problem": problem}]
        half = len(tasks) // 2
        return measure_batch(model, tokenizer, tasks[:half]) + measure_batch(model, tokenizer, tasks[half:])
    return [
        {"id": row, "cut": False, "reward": value}
        if math.isfinite(value)
        else {"id": row, "cut": False, "problem": "the model gives it no finite score"}
        for (row, _), value in zip(tasks, found)
    ]


@torch.inference_mode()
def rewards(model, tokenizer, rows):
    width = max(len(row["input_ids"]) for row in rows)
    padding = padding_token(model, tokenizer, rows)
    # where a row ends is found by this token, so it is one that no row has
    model.config.pad_token_id = model.config.get_text_config().pad_token_id = padding
    fill = {"input_ids": padding, "attention_mask": 0, "token_type_ids": 0}
    batch = {
        name: torch.tensor([row[name] + [fill[name]] * (width - len(row[name])) for row in rows], device=model.device)
        for name in rows[0]
    }
    return model(**batch).logits[:, 0].float().tolist()


def padding_token(model, tokenizer, rows):
    used = {token for row in rows for token in row["input_ids"]}
    usual = tokenizer.pad_token_id
    if usual is not None and usual not in used:
        return usual
    return next(token for token in range(model.get_input_embeddings().num_embeddings) if token not in used)


def tokens_of(tokenizer, row):
    if tokenizer.chat_template:
        messages = {"messages": [*row["prompt"], row["answer"]], **row.get("options", {})}
        left_out = what_is_left_out(tokenizer, messages)
        if left_out is not None:
            raise ValueError(f"the chat template leaves out {left_out}")
        _, whole = token_ids(tokenizer, messages)
        return {"input_ids": whole, "attention_mask": [1] * len(whole)}
    if len(row["prompt"]) != 1 or row["prompt"][0]["role"] != "user":
        raise ValueError("the model has no chat template; it takes one prompt and one answer")
    pair = tokenizer(row["prompt"][0]["content"], row["answer"]["content"], return_attention_mask=True)
    return {name: pair[name] for name in ("input_ids", "attention_mask", "token_type_ids") if name in pair}


def say(what, value):
    print(what, json.dumps(value, allow_nan=False), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
