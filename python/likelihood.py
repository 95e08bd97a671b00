"""Measures how likely a causal language model finds answers: given their prompts, and by themselves.

Usage: python likelihood.py MODEL REVISION MAX_LENGTH TEMPLATE: a folder or a Hub id, its commit or "-", tokens, and the file of a chat
template or "-"

Reads blocks of rows from standard input, a JSON array a line, and writes one line for each batch of results, in any order: "measured "
and a JSON array. A row has a number (id), a prompt (text, or messages with the template's options), an answer, and what is needed:
"answer" (given the prompt), "alone". A result holds [sum of negative log-probabilities, tokens] for each, and whether the row was cut.
It ends when standard input does.
"""

import json
import math
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from row_process import halving, in_batches, is_adapter, placed, say, say_ready, settings
from rows import token_ids, what_is_left_out, with_usual_beginning

BATCH_TOKENS = 512 if not torch.cuda.is_available() else 32768  # padding included; on a CPU, more leave its caches
HEAD_TOKENS = 512 if not torch.cuda.is_available() else 8192  # whose scores over the whole vocabulary are in memory at once


def main(name: str, revision: str, longest: int, template: str) -> None:
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    revision = None if revision == "-" else revision
    tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    if template != "-":
        with open(template, encoding="utf-8") as file:
            tokenizer.chat_template = with_usual_beginning(tokenizer, file.read())
    model = Model(load(name, revision))
    longest = min(longest, model.positions)
    say_ready(model)
    for line in sys.stdin:
        measure(model, tokenizer, longest, json.loads(line))


def load(name, revision):
    if is_adapter(name):
        from peft import AutoPeftModelForCausalLM

        model = AutoPeftModelForCausalLM.from_pretrained(name, **settings(revision)).merge_and_unload()
    else:
        model = AutoModelForCausalLM.from_pretrained(name, **settings(revision))
    return placed(model)


class Model:
    """Gives log-probabilities of tokens. Scores over the vocabulary are made only where they are needed, a few at a time."""

    def __init__(self, model):
        self.model = model
        self.device, self.dtype = model.device, model.dtype
        self.positions = getattr(model.config.get_text_config(), "max_position_embeddings", None) or sys.maxsize
        self.is_split = self.can_be_split()

    def hidden(self, ids, mask):
        return self.model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)[0]

    def head(self, hidden):
        return self.model.get_output_embeddings()(hidden)

    def can_be_split(self) -> bool:
        """Whether body and head alone give what the whole model gives; some models scale or cap the scores in between."""
        ids = torch.arange(1, 9, device=self.device)[None]
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            try:
                ours = self.head(self.hidden(ids, mask))
                return torch.allclose(ours, self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits, atol=1e-3)
            except (AttributeError, TypeError):
                return False

    @torch.inference_mode()
    def nll(self, sequences, starts):
        """Sums of negative log-probabilities of each sequence's tokens from its start on, and how many tokens those are."""
        width = max(map(len, sequences))
        ids = torch.zeros(len(sequences), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        wanted = torch.zeros_like(ids, dtype=torch.bool)  # positions whose next token is asked for
        for row, (tokens, start) in enumerate(zip(sequences, starts)):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
            wanted[row, max(start, 1) - 1 : max(len(tokens) - 1, 0)] = True
        ids, mask, wanted = ids.to(self.device), mask.to(self.device), wanted.to(self.device)
        targets = ids.roll(-1, 1)[wanted]
        losses = []
        if self.is_split:
            hidden = self.hidden(ids, mask)[wanted]
            for part, next_tokens in zip(hidden.split(HEAD_TOKENS), targets.split(HEAD_TOKENS)):
                losses.append(cross_entropy(self.head(part), next_tokens))
        else:
            logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[wanted]
            for part, next_tokens in zip(logits.split(HEAD_TOKENS), targets.split(HEAD_TOKENS)):
                losses.append(cross_entropy(part, next_tokens))
        counts = wanted.sum(1)
        flat = torch.cat(losses).double().cpu() if losses else torch.zeros(0, dtype=torch.double)
        return [[float(part.sum()), len(part)] for part in flat.split(counts.tolist())]


def cross_entropy(logits, targets):
    return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")


def measure(model, tokenizer, longest, rows):
    results, tasks, left = {}, [], {}
    for row in rows:
        try:
            prompt, whole = tokens_of(tokenizer, row)
            alone = tokens_alone(tokenizer, row) if "alone" in row["needs"] else []
        except Exception as error:  # such as half a character, or a template that does not take the row
            say("measured", [{"id": row["id"], "cut": False, "problem": f"its tokens cannot be made: {error}"[:300]}])
            continue
        cut = len(whole) > longest
        results[row["id"]] = {"id": row["id"], "cut": cut}
        left[row["id"]] = len(row["needs"])
        # of an answer that is cut after a prompt, the same tokens are measured by themselves
        wanted = {"answer": (whole[:longest], prompt), "alone": (alone[: max(longest - prompt + 1, 1)], 1)}
        for need in row["needs"]:
            tokens, start = wanted[need]
            if len(tokens) > start:
                tasks.append((row["id"], need, tokens, start))
            else:  # nothing to measure
                results[row["id"]][need] = [0.0, 0]
                left[row["id"]] -= 1
    nothing = [results.pop(row) for row in [row for row, count in left.items() if count == 0]]
    if nothing:
        say("measured", nothing)
    in_batches(tasks, BATCH_TOKENS, length, lambda some: measure_batch(model, some, results, left))


def length(task):
    return len(task[2])


def measure_batch(model, tasks, results, left):
    def nll(some):
        return model.nll([tokens for _, _, tokens, _ in some], [start for _, _, _, start in some])

    complete = []
    for (row, what, _, _), value in zip(tasks, halving(tasks, nll, length)):
        if isinstance(value, str):
            results[row]["problem"] = value
        elif not math.isfinite(value[0]):
            results[row]["problem"] = "the model gives its tokens no finite probability"
        else:
            results[row][what] = value
        left[row] -= 1
        if left[row] == 0:
            complete.append(results.pop(row))
    if complete:
        say("measured", complete)


def tokens_alone(tokenizer, row):
    text = row["answer"]["content"] if isinstance(row["answer"], dict) else row["answer"]
    return tokenizer(text)["input_ids"] if text else []


def tokens_of(tokenizer, row):
    """How many tokens are before the answer, and all tokens. Text is made into tokens as a whole, so those at the border may differ."""
    if isinstance(row["prompt"], str):
        return len(tokenizer(row["prompt"])["input_ids"]), tokenizer(row["prompt"] + row["answer"])["input_ids"]
    if not tokenizer.chat_template:
        sys.exit("ValueError: expected a model with a chat template, found none; measure with --template plain or alpaca")
    messages = {"messages": [*row["prompt"], row["answer"]], **row.get("options", {})}
    left_out = what_is_left_out(tokenizer, messages)
    if left_out is not None:
        raise ValueError(f"the chat template leaves out {left_out}")
    prompt, whole = token_ids(tokenizer, messages)
    return len(prompt), whole


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
