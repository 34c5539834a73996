"""The names and shapes of every model's state_dict, one tensor a line, in PyTorch's order."""

import torch

import networks

CLASSES = {
    "f1": 10, "c1": 10, "c2": 10, "c3": 100, "c4": 100,
    "resnet8": 10, "resnet20": 10, "resnet32": 10, "resnet44": 100, "resnet56": 10,
    "resnet110": 10, "wrn-16-4": 10,
    "alexnet": 1000, "resnet18": 1000, "resnet34": 1000, "resnet50": 1000, "resnet101": 1000,
    "resnet152": 1000,
}  # fmt: skip


def generate(folder):
    """Writes one file per model: a line `NAME EXTENT EXTENT ...` for each tensor."""
    for name, classes in CLASSES.items():
        with torch.device("meta"):
            state = networks.by_name(name, classes).state_dict()
        lines = [" ".join([key, *map(str, value.shape)]) for key, value in state.items()]
        (folder / f"{name}.txt").write_text(f"# {classes} classes\n" + "\n".join(lines) + "\n")
    print(f"keys: {len(CLASSES)} models")
