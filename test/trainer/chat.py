"""Answers the prompts of a training's rows, and counts the labels by hand: python chat.py MODEL-FOLDER"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = sys.argv[1]
tokenizer = AutoTokenizer.from_pretrained(f"{folder}/output")
model = AutoModelForCausalLM.from_pretrained(f"{folder}/output")
found = {"right": 0, "rows": 0, "labels": 0}
with open(f"{folder}/data/train.jsonl", encoding="utf-8") as file:
    for line in file:
        row = json.loads(line)
        answer = row["completion"][0]["content"]
        prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=True, return_dict=True)
        ids = torch.tensor([prompt["input_ids"]])
        with torch.no_grad():
            written = model.generate(ids, max_new_tokens=40, do_sample=False, eos_token_id=tokenizer.eos_token_id)
        found["right"] += tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True) == answer
        found["rows"] += 1
        found["labels"] += len(tokenizer(answer + tokenizer.eos_token, add_special_tokens=False)["input_ids"])
print(json.dumps(found))
