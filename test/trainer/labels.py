"""Decodes what is learnt of each row, run by run: python labels.py MODEL-FOLDER"""

import json
import sys

from transformers import AutoTokenizer

from learnt import learnt_runs

folder = sys.argv[1]
tokenizer = AutoTokenizer.from_pretrained(f"{folder}/output")
rows = []
with open(f"{folder}/tokens/train.jsonl", encoding="utf-8") as file:
    for line in file:
        row = json.loads(line)
        rows.append(learnt_runs(tokenizer, row))
print(json.dumps(rows))
