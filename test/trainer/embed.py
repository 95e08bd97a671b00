"""Vectors of texts, one at a time: by sentence-transformers' own encode, or RDS+'s average written as it is told.

Usage: python embed.py MODEL KIND FILE, the file of vectors to read with NumPy. Reads texts as JSON, writes both.
"""

import json
import sys

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def averaged(name, text):
    tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states[-1][0]
    total = torch.zeros(states.shape[1])
    for position, state in enumerate(states):
        total += (position + 1) * state
    return (total / total.norm()).tolist()


def encoded(name, texts):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(name)
    return [model.encode(text, normalize_embeddings=True).tolist() for text in texts]


name, kind, path = sys.argv[1:]
texts = json.load(sys.stdin)
theirs = encoded(name, texts) if kind == "encode" else [averaged(name, text) for text in texts]
ours = numpy.load(path)
print(json.dumps({"dtype": str(ours.dtype), "ours": ours.tolist(), "theirs": theirs}))
