"""Models, made here: files of weights in the two usual formats, of random
numbers, with all that the clients read in them."""

import json
import os
import struct

ALIGN = 32
BLOCK = 1 << 20

TEXT, NUMBER, LIST = 8, 4, 9        # types of values in GGUF
F16 = 1


def text(value):
    value = value.encode()
    return struct.pack("<Q", len(value)) + value


def value(v):
    if isinstance(v, list):
        return (struct.pack("<IIQ", LIST, TEXT, len(v))
                + b"".join(text(x) for x in v))
    if isinstance(v, str):
        return struct.pack("<I", TEXT) + text(v)
    return struct.pack("<II", NUMBER, v)


def fill(f, size):
    for at in range(0, size, BLOCK):
        f.write(os.urandom(min(BLOCK, size - at)))


def gguf(path, size):
    """A model of one tensor of that many bytes; the file's path."""
    keys = {"general.architecture": "llama",
            "general.name": "tiny",
            "general.file_type": 1,
            "llama.context_length": 128,
            "llama.embedding_length": 64,
            "llama.block_count": 1,
            "llama.feed_forward_length": 64,
            "llama.attention.head_count": 1,
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.tokens": ["a", "b", "c"]}
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, len(keys))
    for k, v in keys.items():
        head += text(k) + value(v)
    head += text("token_embd.weight") + struct.pack(
        "<IQQIQ", 2, 64, size // 128, F16, 0)
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % ALIGN))
        fill(f, size // 128 * 128)
    return path


def safetensors(folder, size, files=2):
    """A folder as a model's repository has them."""
    os.makedirs(folder, exist_ok=True)
    names = {}
    for i in range(1, files + 1):
        name = "model-%05d-of-%05d.safetensors" % (i, files)
        part = size // files // 128 * 128
        head = json.dumps({"w%d" % i: {
            "dtype": "F16", "shape": [part // 128, 64],
            "data_offsets": [0, part]}}).encode()
        head += b" " * (-len(head) % 8)
        with open(os.path.join(folder, name), "wb") as f:
            f.write(struct.pack("<Q", len(head)) + head)
            fill(f, part)
        names["w%d" % i] = name
    for name, data in (
            ("config.json", {"architectures": ["LlamaForCausalLM"],
                             "model_type": "llama", "hidden_size": 64,
                             "num_hidden_layers": 1, "vocab_size": 3,
                             "torch_dtype": "float16"}),
            ("tokenizer_config.json", {"model_max_length": 128}),
            ("tokenizer.json", {"version": "1.0", "model": {
                "type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2},
                "merges": []}}),
            ("model.safetensors.index.json", {
                "metadata": {"total_size": size}, "weight_map": names})):
        with open(os.path.join(folder, name), "w", encoding="ascii") as f:
            json.dump(data, f, indent=2)
    return folder
