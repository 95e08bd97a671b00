"""Decodes what is learnt of each row, run by run: python labels.py MODEL-FOLDER"""

import json
import sys

from transformers import AutoTokenizer

folder = sys.argv[1]
tokenizer = AutoTokenizer.from_pretrained(f"{folder}/output")
rows = []
with open(f"{folder}/tokens/train.jsonl", encoding="utf-8") as file:
    for line in file:
        row = json.loads(line)
        runs, before = [], -100
        for token, label in zip(row["input_ids"], row["labels"]):
            if label != -100:
                assert label == token
                if before == -100:
                    runs.append([])
                runs[-1].append(token)
            before = label
        rows.append({"whole": tokenizer.decode(row["input_ids"]), "learnt": [tokenizer.decode(run) for run in runs]})
print(json.dumps(rows))
