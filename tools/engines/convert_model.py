"""Makes a folder that vLLM serves from a GGUF file. Runs inside the environment of the engine.

Weights are dequantised by transformers; tokenizer and chat template come from the file. Usage: convert_model.py FILE FOLDER
"""

import sys
from pathlib import Path

import gguf
import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

SPECIAL = {"bos_token_id": "bos_token_id", "eos_token_id": "eos_token_id", "pad_token_id": "padding_token_id"}


def main(file: Path, folder: Path) -> None:
    reader = gguf.GGUFReader(file)

    def told(key: str):
        entry = reader.get_field(key)
        return None if entry is None else entry.contents()

    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.chat_template = tokenizer.chat_template or told("tokenizer.chat_template")
    if told("tokenizer.ggml.pre") == "smollm":  # transformers forgets that digits are tokens of their own
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    for name, key in SPECIAL.items():
        if (token := told(f"tokenizer.ggml.{key}")) is not None:
            setattr(model.config, name, int(token))
            setattr(model.generation_config, name, int(token))
    # transformers takes the model for a quantised one and would not save it; its tensors no longer are.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
