"""Makes vectors of texts.

Usage: python embed.py MODEL REVISION MAX_LENGTH: a folder or a Hub id, its commit or "-", the most tokens of a text or 0 for the model's own

A model of sentence-transformers (modules.json) makes them as it was trained to. Of any other model the last layer's states are averaged:
of a causal language model with weights that grow with the position (SGPT, arXiv 2202.08904; RDS+, arXiv 2503.01807), of another one
evenly. Vectors have length 1.

Reads blocks of rows from standard input, a JSON array a line, and writes one line for each batch of results, in any order: "measured "
and a JSON array. A row has a number (id) and a text. A result holds the vector (base64 of 32-bit floats) and whether the text was cut, or
the problem. It ends when standard input does.
"""

import base64
import json
import sys

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import cached_file

from row_process import halving, in_batches, is_adapter, placed, say, say_ready, settings

BATCH_TOKENS = 1024 if not torch.cuda.is_available() else 65536  # padding included
LONGEST = 2048  # tokens, as in RDS+; the model's own limit counts too


def main(name: str, revision: str, longest: int) -> None:
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    model = open_model(name, None if revision == "-" else revision, longest)
    say_ready(model.model)
    for line in sys.stdin:
        measure(model, json.loads(line))


def open_model(name, revision, longest):
    if cached_file(name, "modules.json", revision=revision, _raise_exceptions_for_missing_entries=False):
        return SentenceModel(name, revision, longest)
    return AveragedModel(name, revision, longest)


class SentenceModel:
    def __init__(self, name, revision, longest):
        from sentence_transformers import SentenceTransformer

        self.sentences = SentenceTransformer(name, revision=revision)
        self.sentences.eval()
        if longest:
            self.sentences.max_seq_length = min(longest, self.sentences.max_seq_length or longest)
        self.longest = self.sentences.max_seq_length or sys.maxsize
        self.model = next(part for part in self.sentences.modules() if hasattr(part, "dtype") and hasattr(part, "device"))
        self.tokenizer = self.sentences.tokenizer

    def vectors(self, texts):
        return self.sentences.encode(
            texts, batch_size=len(texts), convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False
        )


class AveragedModel:
    def __init__(self, name, revision, longest):
        config = AutoConfig.from_pretrained(name, revision=revision) if not is_adapter(name) else None
        if is_adapter(name):
            from peft import AutoPeftModelForCausalLM

            whole = AutoPeftModelForCausalLM.from_pretrained(name, **settings(revision)).merge_and_unload()
            self.model, self.is_causal = placed(whole.base_model), True
        else:
            self.model = placed(AutoModel.from_pretrained(name, **settings(revision)))
            self.is_causal = any(kind.endswith(("ForCausalLM", "LMHeadModel")) for kind in config.architectures or [])
        self.tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        own = getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or sys.maxsize
        self.longest = min(longest or LONGEST, own)

    @torch.inference_mode()
    def vectors(self, texts):
        rows = [self.tokenizer(text, truncation=True, max_length=self.longest)["input_ids"] for text in texts]
        width = max(map(len, rows))
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        ids, mask = ids.to(self.model.device), mask.to(self.model.device)
        more = {"use_cache": False} if self.is_causal else {}
        states = self.model(input_ids=ids, attention_mask=mask, **more).last_hidden_state.float()
        weights = (mask * torch.arange(1, width + 1, device=mask.device) if self.is_causal else mask).float()
        averages = (states * weights[:, :, None]).sum(1) / weights.sum(1, keepdim=True)
        return torch.nn.functional.normalize(averages, dim=-1)


def measure(model, rows):
    tasks = []
    for row in rows:
        try:
            tokens = len(model.tokenizer(row["text"])["input_ids"])
        except Exception as error:  # such as half a character
            say("measured", [{"id": row["id"], "problem": f"its tokens cannot be made: {error}"[:300]}])
            continue
        if tokens == 0:
            say("measured", [{"id": row["id"], "problem": "its text is empty"}])
        else:
            tasks.append((row["id"], row["text"], tokens))

    def length(task):
        return min(task[2], model.longest)

    def run(some):
        def embed(part):
            return list(model.vectors([text for _, text, _ in part]))

        say("measured", [result(model, task, value) for task, value in zip(some, halving(some, embed, length))])

    in_batches(tasks, BATCH_TOKENS, length, run)


def result(model, task, value):
    row, _, tokens = task
    if isinstance(value, str):
        return {"id": row, "problem": value}
    if not bool(torch.isfinite(value).all()):
        return {"id": row, "problem": "the model gives it no finite vector"}
    floats = value.to("cpu", torch.float32).numpy().astype("<f4").tobytes()
    return {"id": row, "vector": base64.b64encode(floats).decode("ascii"), "cut": tokens > model.longest}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
