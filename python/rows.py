"""Counts the tokens of the training rows: what is cut at the maximum length, and what is left without any label.

Writes rows.json: rows, tokens (as trained on, for one epoch), labels, cut and unlabelled (their positions, from 0), with packing the
number of sequences, and the tokens of the prompts in data/test.jsonl, to be compared with what a server reads. Writes tokens/ where the trainer cannot make
the tokens: rows with tools, and several turns to learn. Stops where the chat template leaves a part of a row out.
"""

import json
import os
import sys

from transformers import AutoTokenizer

BEGIN = "{{- bos_token -}}"


def main() -> None:
    with open("training.json", encoding="utf-8") as file:
        training = json.load(file)
    tokenizer = AutoTokenizer.from_pretrained(training["base"])
    if training["chatTemplate"]:
        tokenizer.chat_template = begin_as_usual(tokenizer, training["chatTemplate"])
    if not tokenizer.chat_template:
        sys.exit(f"{training['base']}: expected a model with a chat template, found none; train with --template alpaca")
    found = {"rows": 0, "tokens": 0, "labels": 0, "cut": [], "unlabelled": []}
    left_out, lengths = [], []
    with TokensFile(training, "train") as tokens, open("data/train.jsonl", encoding="utf-8") as file:
        for position, line in enumerate(file):
            row = json.loads(line)
            part = what_is_left_out(tokenizer, row)
            if part is not None:
                left_out.append((position, part))
                continue
            ids, learnt = labelled(tokenizer, row, training)
            kept = min(len(ids), training["maxLength"])
            labels = sum(learnt[:kept])
            found["rows"] += 1
            found["tokens"] += kept
            if labels > 0:  # the trainer leaves out the others
                lengths.append(kept)
            found["labels"] += labels
            if len(ids) > kept:
                found["cut"].append(position)
            if labels == 0:
                found["unlabelled"].append(position)
            tokens.write(ids[:kept], learnt[:kept])
    if left_out:
        position, part = left_out[0]
        sys.exit(
            f"data/train.jsonl:{position + 1}: expected a chat template that writes all of a row, got one that leaves out {part}"
            f" ({len(left_out)} of {found['rows'] + len(left_out)} rows); train from a base whose template has them, or select without such rows"
        )
    with TokensFile(training, "test") as tokens, open("data/test.jsonl", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
        found["prompts"] = [token_ids(tokenizer, row)[0] for row in rows]
        for row in rows:
            ids, learnt = labelled(tokenizer, row, training)
            tokens.write(ids[: training["maxLength"]], learnt[: training["maxLength"]])
    if training.get("evaluated") == "validation":
        with TokensFile(training, "validation") as tokens, open("data/validation.jsonl", encoding="utf-8") as file:
            for line in file:
                ids, learnt = labelled(tokenizer, json.loads(line), training)
                tokens.write(ids[: training["maxLength"]], learnt[: training["maxLength"]])
    if training.get("packing"):
        found["sequences"] = count_sequences(lengths, training["maxLength"])
    write_whole("rows.json", json.dumps(found))


def count_sequences(lengths, longest):
    """Into how many sequences the trainer puts rows of these lengths."""
    try:
        from datasets import Dataset
        from trl import pack_dataset
    except ImportError:  # another trainer, which packs in its own way
        return None
    count = 0
    for start in range(0, len(lengths), 1000):  # the trainer packs so many rows at a time
        rows = Dataset.from_dict({"input_ids": [[0] * length for length in lengths[start : start + 1000]]})
        count += len(pack_dataset(rows, longest, "bfd"))
    return count


class TokensFile:
    """The rows as tokens and labels, where the trainer cannot make them itself."""

    def __init__(self, training, split):
        self.file = None
        if training.get("areTokens"):
            os.makedirs("tokens", exist_ok=True)
            self.path = f"tokens/{split}.jsonl"
            self.file = open(partial(self.path), "w", encoding="utf-8")

    def write(self, ids, learnt):
        if self.file:
            labels = [token if is_learnt else -100 for token, is_learnt in zip(ids, learnt)]
            self.file.write(json.dumps({"input_ids": ids, "labels": labels}) + "\n")

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        if self.file:
            self.file.close()
            if failure is None:
                os.replace(partial(self.path), self.path)


def partial(path):
    """Where this process writes a file until it is complete: machines that train together may each make the same files in one folder."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{os.uname().nodename}-{os.getpid()}.partial")


def write_whole(path, text):
    with open(partial(path), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(partial(path), path)


def split_row(row):
    """The messages, how many come before the answer, and the tools with the row's own options for the chat template."""
    messages = row["messages"] if "messages" in row else row["prompt"] + row["completion"]
    tools = row.get("tools")
    if isinstance(tools, str):  # axolotl takes them as text
        tools = json.loads(tools)
    if "messages" in row:
        for message in messages:
            for call in message.get("tool_calls") or []:
                call["function"]["arguments"] = as_object(call["function"]["arguments"])
    return messages, len(messages) - 1, {"tools": tools, **row.get("chat_template_kwargs", {})}


def as_object(arguments):
    return json.loads(arguments) if isinstance(arguments, str) else arguments


def labelled(tokenizer, row, training):
    """The tokens of a row, and for each whether it is learnt: those of the last answer, or of all the assistant's turns, without turns that are marked not to be."""
    messages, last, options = split_row(row)
    whole = apply(tokenizer, messages, **options)
    learnt = [0] * len(whole)
    turns = [last]
    if training.get("loss") == "all":
        turns = [turn for turn, message in enumerate(messages) if message["role"] == "assistant"]
    turns = [turn for turn in turns if messages[turn].get("train") is not False]
    for turn in turns:
        prompt = apply(tokenizer, messages[:turn], add_generation_prompt=True, **options)
        so_far = whole if turn == last else apply(tokenizer, messages[: turn + 1], **options)
        end = len(so_far)
        if turn != last and (whole[: len(prompt)] != prompt or whole[:end] != so_far):
            sys.exit(
                "data/train.jsonl: expected a chat template that writes earlier turns as it wrote them when they were the last,"
                " got one that changes them (as those do that drop earlier reasoning); train with --loss last"
            )
        learnt[len(prompt) : end] = [1] * (end - len(prompt))
    return whole, learnt


def what_is_left_out(tokenizer, row):
    """What the chat template does not write of a row, in words; None where it writes everything."""
    messages, last, options = split_row(row)
    tools = options.pop("tools")
    if len(messages) <= 2 and not tools and "tool_calls" not in messages[last] and "reasoning_content" not in messages[last]:
        return None

    def write(said, offered):
        return tokenizer.apply_chat_template(said, tools=offered, tokenize=False, **options)

    written = write(messages, tools)
    if tools and written == write(messages, None):
        return "the tools that are offered"
    for position, message in enumerate(messages):
        if message["content"].strip() not in written and (position == last or "<think>" not in message["content"]):
            return f"the text of a turn of the role {message['role']}"
        for part, name in (("tool_calls", "calls of tools"), ("reasoning_content", "the reasoning of the answer")):
            if not message.get(part) or (part == "reasoning_content" and position != last):
                continue  # templates may drop the reasoning of earlier turns
            without = {key: value for key, value in message.items() if key != part}
            if written == write([*messages[:position], without, *messages[position + 1 :]], tools):
                return name
    return None


def begin_as_usual(tokenizer, path):
    """Lets the template begin with the token that the tokenizer begins every text with, if it does (as Llama's)."""
    with open(path, encoding="utf-8") as file:
        template = file.read()
    changed = with_usual_beginning(tokenizer, template)
    if changed != template:
        write_whole(path, changed)
    return changed


def with_usual_beginning(tokenizer, template):
    begins = tokenizer.bos_token_id is not None and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    return BEGIN + template if begins and not template.startswith(BEGIN) else template


def token_ids(tokenizer, row):
    """The tokens of the prompt, and of the prompt with its answer, as the trainer makes them."""
    messages, last, options = split_row(row)
    prompt = apply(tokenizer, messages[:last], add_generation_prompt=True, **options)
    return prompt, apply(tokenizer, messages, **options)


def apply(tokenizer, messages, **options):
    return tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)["input_ids"]


if __name__ == "__main__":
    main()
