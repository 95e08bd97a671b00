"""Counts the tokens of the training rows: what is cut at the maximum length, and what is left without any label.

Writes rows.json: rows, tokens (as trained on, for one epoch), labels, cut and unlabelled (their positions, from 0), and
the tokens of the prompts in data/test.jsonl, to be compared with what a server reads.
"""

import json
import sys

from transformers import AutoTokenizer

BEGIN = "{{- bos_token -}}"


def main() -> None:
    with open("training.json", encoding="utf-8") as file:
        training = json.load(file)
    tokenizer = AutoTokenizer.from_pretrained(training["base"])
    if training["chatTemplate"]:
        tokenizer.chat_template = begin_as_usual(tokenizer, training["chatTemplate"])
    if not tokenizer.chat_template:
        sys.exit(f"{training['base']}: expected a model with a chat template, found none; train with --template alpaca")
    found = {"rows": 0, "tokens": 0, "labels": 0, "cut": [], "unlabelled": []}
    with open("data/train.jsonl", encoding="utf-8") as file:
        for position, line in enumerate(file):
            prompt, whole = token_ids(tokenizer, json.loads(line))
            kept = min(len(whole), training["maxLength"])
            labels = max(0, kept - len(prompt))
            found["rows"] += 1
            found["tokens"] += kept
            found["labels"] += labels
            if len(whole) > kept:
                found["cut"].append(position)
            if labels == 0:
                found["unlabelled"].append(position)
    with open("data/test.jsonl", encoding="utf-8") as file:
        found["prompts"] = [token_ids(tokenizer, json.loads(line))[0] for line in file]
    with open("rows.json", "w", encoding="utf-8") as file:
        json.dump(found, file)


def begin_as_usual(tokenizer, path):
    """Lets the template begin with the token that the tokenizer begins every text with, if it does (as Llama's)."""
    with open(path, encoding="utf-8") as file:
        template = file.read()
    begins = tokenizer.bos_token_id is not None and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    if begins and not template.startswith(BEGIN):
        template = BEGIN + template
        with open(path, "w", encoding="utf-8") as file:
            file.write(template)
    return template


def token_ids(tokenizer, row):
    """The tokens of the prompt, and of the prompt with its answer, as the trainer makes them."""
    if "messages" in row:
        row = {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]}
    prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=True, return_dict=True)
    whole = tokenizer.apply_chat_template(row["prompt"] + row["completion"], tokenize=True, return_dict=True)
    return prompt["input_ids"], whole["input_ids"]


if __name__ == "__main__":
    main()
