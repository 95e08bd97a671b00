"""Merges an adapter into its base, for servers that take whole models only: python merge.py ADAPTER FOLDER TYPE

TYPE is fp32, bf16 or fp16. The folder appears when it is complete.
"""

import os
import shutil
import sys

import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def main(adapter, folder, precision):
    partial = f"{folder}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype=TYPES[precision])
    model.merge_and_unload().save_pretrained(partial)
    AutoTokenizer.from_pretrained(adapter).save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(partial, folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
