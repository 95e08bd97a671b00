"""Runs benchmarks by lm-evaluation-harness on one model: python benchmark.py JOB.json.

The job has model, base (of an adapter, or null), served (address, model, tokenizer; or null), precision, chat, include (or null), limit, batch, seed, allowCode, and tasks: [{name, shots, items, result}]. For
each task the harness's own numbers go to `result`, and a line an item to `items`: the harness's hashes, the target, the model's replies and the
metrics. Both appear when the task is complete; a task whose result is there is passed over.
"""

import difflib
import json
import math
import os
import sys
import urllib.request


def fail(message):
    print(f"benchmark.py: {message}", flush=True)
    sys.exit(2)


def tell(phase):
    print(f"alpagasus: {phase}", flush=True)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    wanted = [task for task in job["tasks"] if not os.path.exists(task["result"])]
    if job["allowCode"]:
        os.environ["HF_ALLOW_CODE_EVAL"] = "1"
    tell("loading the harness")
    import lm_eval
    from lm_eval.tasks import TaskManager

    known = TaskManager(include_path=job["include"])
    for task in wanted:
        expect_known(task["name"], known.all_tasks)
        if not job["allowCode"] and runs_code(known, task["name"]):
            refuse_code(task["name"])
    tell("loading the model")
    model = load(job)
    for task in wanted:
        tell(f"running {task['name']}")
        try:
            results = lm_eval.simple_evaluate(
                model=model,
                tasks=[task["name"]],
                task_manager=known,
                num_fewshot=task["shots"],
                limit=job["limit"],
                apply_chat_template=job["chat"],
                fewshot_as_multiturn=job["chat"],
                log_samples=True,
                confirm_run_unsafe_code=job["allowCode"],
                random_seed=job["seed"],
                numpy_random_seed=job["seed"],
                torch_random_seed=job["seed"],
                fewshot_random_seed=job["seed"],
            )
        except ValueError as error:
            if "unsafe" in str(error):
                refuse_code(task["name"])
            raise
        keep(task, results, lm_eval.__version__ if hasattr(lm_eval, "__version__") else "")
    tell("done")


def expect_known(name, names):
    if name in names:
        return
    near = difflib.get_close_matches(name, names, 3)
    fail(f"--tasks: expected a task of lm-evaluation-harness or of --include, got {name!r}; {'near it are ' + ', '.join(near) if near else 'lm_eval ls tasks lists them'}")


def refuse_code(name):
    fail(f"{name}: it runs code that the model writes; give --allow-code (in a recipe allow_code: true) in a container, or leave it out")


def runs_code(known, name):
    """Whether a task says so in its settings, before its data is loaded."""
    try:
        return bool(known._get_config(name).get("unsafe_code"))
    except Exception:  # a group, or another version of the harness: it is refused when it comes to it
        return False


def load(job):
    if job["served"]:
        return load_served(job)
    import torch
    from lm_eval.models.huggingface import HFLM

    on_gpu = torch.cuda.is_available()
    return HFLM(
        pretrained=job["base"] or job["model"],
        tokenizer=job["model"] if job["base"] and os.path.exists(os.path.join(job["model"], "tokenizer_config.json")) else None,
        peft=job["model"] if job["base"] else None,
        dtype={"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}[job["precision"]] if on_gpu else "float32",
        device="cuda" if on_gpu else "cpu",
        batch_size=job["batch"] or ("auto" if on_gpu else 8),
    )


def load_served(job):
    """A model behind an OpenAI-compatible server: completions, or chat completions with `chat`. No key is sent."""
    from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI

    address, model, tokenizer = (job["served"][name] for name in ("address", "model", "tokenizer"))
    common = {"model": model, "num_concurrent": job["batch"] or 8, "max_retries": 3, "seed": job["seed"], "timeout": 3600}
    if job["chat"]:
        return LocalChatCompletion(base_url=f"{address}/chat/completions", **common)

    class Served(LocalCompletionsAPI):
        def loglikelihood(self, requests, *args, **kwargs):
            expect_probabilities(address, model, tokenizer)
            return super().loglikelihood(requests, *args, **kwargs)

        def loglikelihood_rolling(self, requests, *args, **kwargs):
            expect_probabilities(address, model, tokenizer)
            return super().loglikelihood_rolling(requests, *args, **kwargs)

    # with a tokenizer prompts go as its tokens, so that the server cannot count them otherwise
    own = {"tokenizer_backend": "huggingface", "tokenizer": tokenizer, "tokenized_requests": True} if tokenizer else {}
    return Served(base_url=f"{address}/completions", **({"tokenizer_backend": None, "tokenized_requests": False} | own), **common)


def expect_probabilities(address, model, tokenizer):
    """A server that leaves the prompt's probabilities out would give every answer the sum of none, and a share of right ones that means nothing."""
    if not tokenizer:
        fail(f"{address}#{model}: this task compares probabilities of answers, and wants the model's own tokenizer: --tokenizer FOLDER or an id on the Hub")
    asked = {"model": model, "prompt": "One two three four five six", "max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True}
    request = urllib.request.Request(f"{address}/completions", json.dumps(asked).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=600) as response:
            found = json.load(response)["choices"][0]["logprobs"]
        known = [one for one in found["token_logprobs"] if one is not None]
        whole = len(known) >= 5 and len(found["top_logprobs"]) == len(found["token_logprobs"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        whole = False
    if not whole:
        fail(f"{address}#{model}: this task compares probabilities of answers, which this server does not return for a prompt (vLLM does, llama.cpp does not); name the model's folder instead")


def keep(task, results, version):
    """Writes a task's items, and then its result. A group's items are those of all its tasks."""
    parts, lines = {}, []
    for name, samples in results["samples"].items():
        metric, kind = first_metric(name, results["results"][name], samples)
        parts[name] = {
            "metric": metric,
            "filter": kind,
            "higherIsBetter": (results.get("higher_is_better", {}).get(name) or {}).get(metric, True),
            "value": number(results["results"][name].get(f"{metric},{kind}")),
            "standardError": number(results["results"][name].get(f"{metric}_stderr,{kind}")),
            "version": str(results["versions"].get(name, "")),
            "shots": results.get("n-shot", {}).get(name),
            "items": sum(1 for sample in samples if sample["filter"] == kind),
        }
        for sample in samples:
            if sample["filter"] != kind:
                continue
            lines.append(
                {
                    "task": name,
                    "item": sample["doc_id"],
                    "documentHash": sample["doc_hash"],
                    "promptHash": sample["prompt_hash"],
                    "target": plain(sample["target"]),
                    "replies": plain(sample["resps"]),
                    "read": plain(sample["filtered_resps"]),
                    "value": number(sample.get(metric)),
                    "metrics": {key: number(sample.get(key)) for key in sample["metrics"]},
                }
            )
    own = results["results"].get(task["name"], {})
    metrics = {(part["metric"], part["filter"]) for part in parts.values()}
    shared = ",".join(metrics.pop()) if len(metrics) == 1 else None  # a group's own figure, where its tasks have one metric
    value = parts[task["name"]]["value"] if task["name"] in parts else number(own.get(shared))
    whole = {"harness": version, "value": value, "tasks": parts}
    write(task["items"], "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    write(task["result"], json.dumps(whole, allow_nan=False))


def first_metric(name, result, samples):
    """The first metric that is the mean of its items, and its filter: `acc,none`. Others, as perplexities, cannot be compared item by item."""
    for key, value in result.items():
        metric, _, kind = key.partition(",")
        if not kind or metric.endswith("_stderr") or number(value) is None:
            continue
        values = [number(sample.get(metric)) for sample in samples if sample["filter"] == kind]
        if values and None not in values and abs(sum(values) / len(values) - value) <= 1e-6 * max(1, abs(value)):
            return metric, kind
    fail(f"{name}: expected a task with a metric that is a mean over its items, got {', '.join(key for key in result if ',' in key) or 'none'}; leave it out")


def number(value):
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None


def plain(value):
    try:
        json.dumps(value)
        return value
    except TypeError:
        return str(value)


def write(path, text):
    with open(f"{path}.{os.getpid()}.partial", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.{os.getpid()}.partial", path)


if __name__ == "__main__":
    main()
