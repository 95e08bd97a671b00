"""Scores answers with a reward model: a sequence-classification model with one output.

Usage: python reward.py MODEL REVISION MAX_LENGTH: a folder or a Hub id, its commit or "-", tokens

Reads blocks of rows from standard input, a JSON array a line, and writes one line for each batch of results, in any order: "measured "
and a JSON array. A row has a number (id), a prompt (messages, with the template's options) and an answer (a message). A result holds the
reward, or the problem. It ends when standard input does.
"""

import json
import math
import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from row_process import halving, in_batches, is_adapter, placed, say, say_ready, settings
from rows import token_ids, what_is_left_out

BATCH_TOKENS = 1024 if not torch.cuda.is_available() else 32768  # padding included


def main(name: str, revision: str, longest: int) -> None:
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    revision = None if revision == "-" else revision
    tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    model = load(name, revision)
    config = model.config.get_text_config()
    longest = min(longest, getattr(config, "max_position_embeddings", None) or sys.maxsize)
    say_ready(model)
    for line in sys.stdin:
        measure(model, tokenizer, longest, json.loads(line))


def load(name, revision):
    if is_adapter(name):
        from peft import AutoPeftModelForSequenceClassification as AutoPeftModel

        model = AutoPeftModel.from_pretrained(name, num_labels=1, **settings(revision)).merge_and_unload()
    else:
        model, how = AutoModelForSequenceClassification.from_pretrained(
            name, output_loading_info=True, **settings(revision)
        )
        missing = sorted(how["missing_keys"])
        if missing:  # they would be drawn at random
            sys.exit(f"ValueError: expected a reward model, got one without the weights {', '.join(missing)[:200]}")
    if model.config.num_labels != 1:
        sys.exit(f"ValueError: expected a reward model with one output, got one with {model.config.num_labels}")
    return placed(model)


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
    in_batches(tasks, BATCH_TOKENS, length, lambda some: say("measured", measure_batch(model, tokenizer, some)))


def length(task):
    return len(task[1]["input_ids"])


def measure_batch(model, tokenizer, tasks):
    def score(some):
        return rewards(model, tokenizer, [tokens for _, tokens in some])

    found = []
    for (row, _), value in zip(tasks, halving(tasks, score, length)):
        problem = value if isinstance(value, str) else None if math.isfinite(value) else "the model gives it no finite score"
        found.append({"id": row, "cut": False, **({"reward": value} if problem is None else {"problem": problem})})
    return found


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


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
