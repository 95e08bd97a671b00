"""Makes a tiny Llama that knows the words of the rows, and answers each with the words of another: python tiny.py ROWS.json FOLDER"""

import json
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

with open(sys.argv[1], encoding="utf-8") as file:
    rows = json.load(file)
texts = [row[name] for row in rows for name in ("instruction", "input", "output")]
texts.append("Below is an instruction that describes a task, paired with an input that provides further context. "
             "Write a response that appropriately completes the request.\n\n### Instruction:\n\n### Input:\n\n### Response:")

bpe = Tokenizer(models.BPE())
bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bpe.decoder = decoders.ByteLevel()
special = ["<unk>", "<s>", "</s>"]
alphabet = pre_tokenizers.ByteLevel.alphabet()
bpe.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=1000, special_tokens=special, initial_alphabet=alphabet))
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=bpe, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>"
)
tokenizer.save_pretrained(sys.argv[2])

torch.manual_seed(1)
config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=4, max_position_embeddings=1024, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    tie_word_embeddings=False,
)
model = LlamaForCausalLM(config)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
wrong = [f"{row['instruction']} {row['input']}\n{rows[(i + 7) % len(rows)]['output']}</s>" for i, row in enumerate(rows)]
batch = tokenizer(wrong, padding=True, return_tensors="pt")
labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
for _ in range(120):
    model(**batch, labels=labels).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
model.save_pretrained(sys.argv[2])
