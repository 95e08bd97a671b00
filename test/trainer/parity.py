"""Compares the tokens that TRL trains on with those of a saved model: python parity.py TRAINING-FOLDER DATA-FOLDER

TRL's own trainer makes the first from the base's tokenizer and the template; the second are what a server makes of the
same messages, with the tokenizer and the template that lie beside the saved model.
"""

import json
import sys

from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

folder, data = sys.argv[1:]
with open(f"{folder}/training.json", encoding="utf-8") as file:
    training = json.load(file)
trained = AutoTokenizer.from_pretrained(training["base"])
with open(f"{folder}/chat_template.jinja", encoding="utf-8") as file:
    trained.chat_template = file.read()
dataset = load_dataset(data)["train"]
trainer = SFTTrainer(
    AutoModelForCausalLM.from_pretrained(training["base"]),
    SFTConfig(output_dir=f"{data}/output", completion_only_loss=True, max_length=None, use_cpu=True, bf16=False, report_to="none"),
    train_dataset=dataset,
    processing_class=trained,
)
served = AutoTokenizer.from_pretrained(f"{folder}/output")
equal = 0
for row, seen in zip(dataset, trainer.train_dataset):
    prompt = [token for token, label in zip(seen["input_ids"], seen["labels"]) if label == -100]
    read = served.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=True, return_dict=True)
    equal += prompt == read["input_ids"]
print(json.dumps({"rows": len(dataset), "equal": equal}))
