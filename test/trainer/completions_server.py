"""A server of one model, as vLLM answers: completions with the prompt's probabilities (`echo`), /tokenize, and of a reward model /classify: python completions_server.py FOLDER PORT."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

folder, port = sys.argv[1], int(sys.argv[2])
is_reward = "SequenceClassification" in (AutoConfig.from_pretrained(folder).architectures or [""])[0]
model = (AutoModelForSequenceClassification if is_reward else AutoModelForCausalLM).from_pretrained(folder, dtype=torch.float32).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)


def complete(prompt, asked):
    ids = prompt if isinstance(prompt, list) else tokenizer(prompt)["input_ids"]
    given = torch.tensor([ids])
    with torch.no_grad():
        made = model.generate(given, attention_mask=torch.ones_like(given), max_new_tokens=asked["max_tokens"], do_sample=False)[0]
        logs = model(made[None, :]).logits[0].float().log_softmax(-1)
    text = tokenizer.decode(made[len(ids) :], skip_special_tokens=True)
    for stop in asked.get("stop") or []:
        text = text.split(stop)[0]
    if not asked.get("echo"):
        return {"text": text}
    own = [None] + [logs[i - 1, token].item() for i, token in enumerate(made) if i > 0]
    best = [None] + [{"best": logs[i - 1].max().item()} for i in range(1, len(made))]
    return {"text": tokenizer.decode(made), "logprobs": {"token_logprobs": own, "top_logprobs": best}}


def tokenize(asked):
    if "prompt" in asked:
        tokens = tokenizer(asked["prompt"], add_special_tokens=asked["add_special_tokens"])["input_ids"]
    else:
        tokens = chat_tokens(asked)
    return {"count": len(tokens), "max_model_len": 2048, "tokens": tokens}


def chat_tokens(asked):
    return tokenizer.apply_chat_template(
        asked["messages"],
        tools=asked.get("tools"),
        add_generation_prompt=asked["add_generation_prompt"],
        return_dict=True,
        **asked.get("chat_template_kwargs", {}),
    )["input_ids"]


def classify(asked):
    with torch.no_grad():
        score = model.score(model.model(torch.tensor([chat_tokens(asked)]))[0])[0, -1, 0]  # of the last token, as vLLM; the model itself looks for padding
    return {"data": [{"index": 0, "label": "LABEL_0", "probs": [(score if not asked["use_activation"] else score.sigmoid()).item()], "num_classes": 1}]}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"data": [{"id": "served", "root": folder}]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert "authorization" not in {name.lower() for name in self.headers} or self.headers["authorization"] in ("Bearer ", "Bearer EMPTY"), "no key"
        if self.path == "/tokenize":
            return self.answer(tokenize(asked))
        if self.path == "/classify":
            return self.answer(classify(asked))
        prompts = asked["prompt"]
        several = prompts if isinstance(prompts, list) and not isinstance(prompts[0], int) else [prompts]
        self.answer({"choices": [{"index": i, "finish_reason": "stop", **complete(one, asked)} for i, one in enumerate(several)]})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
