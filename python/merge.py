"""Merges an adapter into its base, for servers that take whole models only: python merge.py ADAPTER FOLDER TYPE

TYPE is fp32, bf16 or fp16. The folder appears when it is complete; several may make it at once.
"""

import os
import shutil
import sys

import torch
from peft import AutoPeftModelForCausalLM, PeftConfig
from transformers import AutoTokenizer

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def main(adapter, folder, precision):
    partial = f"{folder}.{os.getpid()}.partial"
    model = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype=TYPES[precision])
    model.merge_and_unload().save_pretrained(partial)
    has_tokenizer = os.path.exists(f"{adapter}/tokenizer_config.json")
    tokenizer = AutoTokenizer.from_pretrained(
        adapter if has_tokenizer else PeftConfig.from_pretrained(adapter).base_model_name_or_path
    )
    tokenizer.save_pretrained(partial)
    try:
        os.rename(partial, folder)
    except OSError:  # another one was faster
        shutil.rmtree(partial)


if __name__ == "__main__":
    main(*sys.argv[1:])
