"""Puts settings to the trainer that they are for: python settings.py axolotl|llama-factory TRAINING-FOLDER

Prints what that trainer reads of them, as JSON. Neither is installed with its dependencies, which bring a PyTorch each.
"""

import json
import os
import sys
import types

import yaml


def axolotl():
    from axolotl.integrations.liger.args import LigerArgs
    from axolotl.utils.config import validate_config
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.schemas.config import AxolotlInputConfig

    with open("axolotl.yaml", encoding="utf-8") as file:
        given = yaml.safe_load(file)
    known = {*AxolotlInputConfig.model_fields, *(LigerArgs.model_fields if given.get("plugins") else ())}
    unknown = sorted(set(given) - known)  # it drops those without a word
    gpu = {"bf16": True, "fp8": False, "tf32": True, "n_gpu": 4, "n_node": 1, "compute_capability": "sm_80"}
    read = validate_config(DictDefault(given), capabilities=gpu, env_capabilities={"torch_version": "2.11.0"})
    names = ("micro_batch_size", "gradient_accumulation_steps", "adapter", "fsdp_config", "warmup_ratio", "load_in_4bit",
             "sample_packing", "attn_implementation", "plugins", "gradient_checkpointing", "save_strategy", "eval_steps",
             "test_datasets", "group_by_length")
    return {"unknown": unknown, **{name: read.get(name) for name in names}}


def llama_factory():
    os.environ["DISABLE_VERSION_CHECK"] = "1"
    import llamafactory
    from llamafactory.hparams import parser

    data = types.ModuleType("llamafactory.data")  # all of it wants audio and video
    data.__path__ = [os.path.join(os.path.dirname(llamafactory.__file__), "data")]
    sys.modules["llamafactory.data"] = data
    from llamafactory.data.parser import get_dataset_list

    with open("sft.yaml", encoding="utf-8") as file:
        given = yaml.safe_load(file)
    model, rows, training, finetuning, _ = parser.get_train_args(given)  # stops at an unknown key
    (dataset,) = get_dataset_list(rows.dataset, rows.dataset_dir)
    return {
        "template": rows.template,
        "method": finetuning.finetuning_type,
        "targets": finetuning.lora_target,
        "bits": model.quantization_bit,
        "warmup": training.get_warmup_steps(1000),
        "columns": [dataset.system, dataset.prompt, dataset.query, dataset.response],
        "history": [dataset.history, rows.mask_history],
        "options": {
            "neat_packing": rows.neat_packing,
            "flash_attn": model.flash_attn,
            "gradient_checkpointing": not model.disable_gradient_checkpointing,
            "evaluated": rows.eval_dataset,
        },
        "file": os.path.exists(os.path.join(rows.dataset_dir, dataset.dataset_name)),
    }


os.chdir(sys.argv[2])
print(json.dumps({"axolotl": axolotl, "llama-factory": llama_factory}[sys.argv[1]](), default=str))
