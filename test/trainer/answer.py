"""Lets a trained model answer, greedily: python answer.py TRAINING-FOLDER < messages, a JSON list; answers to stdout."""

import json
import os
import sys

import torch

os.chdir(sys.argv[1])
sys.path.insert(0, ".")
from check import load  # noqa: E402  (it lies in the folder)

with open("training.json", encoding="utf-8") as file:
    model, tokenizer = load(json.load(file))
answers = []
for content in json.load(sys.stdin):
    message = [{"role": "user", "content": content}]
    ids = tokenizer.apply_chat_template(message, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        made = model.generate(**ids, max_new_tokens=60, do_sample=False, pad_token_id=tokenizer.pad_token_id)
    answers.append(tokenizer.decode(made[0, ids["input_ids"].shape[1] :], skip_special_tokens=False))
json.dump(answers, sys.stdout)
