"""Makes a tiny reward model from a tiny Llama's tokenizer: python tiny-reward.py TINY FOLDER PAIRS.json, or no pairs, for one that
gives everything the same score. Prints the scores of rows from standard input, one at a time."""

import json
import sys

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

tiny, folder = sys.argv[1:3]
tokenizer = AutoTokenizer.from_pretrained(tiny)
tokenizer.chat_template = (
    "{% for message in messages %}<s>{{ message.role }}\n{{ message.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
tokenizer.pad_token = "</s>"  # as many have it: the end of a row looks like padding
tokenizer.save_pretrained(folder)

torch.manual_seed(1)
config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=4, max_position_embeddings=1024, pad_token_id=2, num_labels=1,
)
model = LlamaForSequenceClassification(config)


def score(prompt, answer):
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    return model.score(model.model(ids)[0])[0, -1, 0]


if len(sys.argv) > 3:
    with open(sys.argv[3], encoding="utf-8") as file:
        pairs = json.load(file)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(30):
        for prompt, good, bad in pairs:
            loss = -torch.nn.functional.logsigmoid(score(prompt, good) - score(prompt, bad))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
else:
    torch.nn.init.zeros_(model.score.weight)
model.eval().save_pretrained(folder)
with torch.inference_mode():
    print(json.dumps([score(prompt, answer).item() for prompt, answer in json.load(sys.stdin)]))
