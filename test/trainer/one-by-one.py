"""What a model finds of answers, one row at a time, as a person would write it: python one-by-one.py MODEL MAX_LENGTH < ROWS.json

Prints a JSON array of [mean loss given the prompt, mean loss alone], for comparison.
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="float32").eval()
longest = int(sys.argv[2])


@torch.no_grad()
def loss(text, before):
    ids = tokenizer(text, return_tensors="pt", truncation=True, max_length=longest)["input_ids"]
    labels = ids.clone()
    labels[0, :before] = -100
    return model(ids, labels=labels).loss.item()


found = []
for row in json.load(sys.stdin):
    prompt = row["instruction"] + "\n" + (row["input"] + "\n" if row["input"] else "")
    found.append([loss(prompt + row["output"], len(tokenizer(prompt)["input_ids"])), loss(row["output"], 0)])
print(json.dumps(found))
