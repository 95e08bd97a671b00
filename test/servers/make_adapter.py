"""Makes a LoRA adapter of a model whose weights were drawn: it answers, and otherwise than the model does.

Usage: python make_adapter.py MODEL FOLDER
"""

import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

name, folder = sys.argv[1:3]
model = AutoModelForCausalLM.from_pretrained(name)
torch.manual_seed(1)
weights = {}
for path, module in model.named_modules():
    if path.endswith(("q_proj", "v_proj")):
        weights[f"base_model.model.{path}.lora_A.weight"] = torch.randn(8, module.in_features) * 0.2
        weights[f"base_model.model.{path}.lora_B.weight"] = torch.randn(module.out_features, 8) * 0.2
os.makedirs(folder)
save_file(weights, os.path.join(folder, "adapter_model.safetensors"))
with open(os.path.join(folder, "adapter_config.json"), "w", encoding="utf-8") as file:
    json.dump({"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": name, "r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"], "bias": "none"}, file)
