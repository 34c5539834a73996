"""Writes the golden vectors (vectors/*.safetensors) and key lists (keys/*.json) from PyTorch.

    pip install torch==2.15.0 numpy==2.4.6 scipy==1.17.1 safetensors
    python tests/golden/generate.py

The tests read the committed files and need no Python. Every seed is fixed; tensors that
the tests feed in are exact in float32, and what they compare with was computed in float64 and, but
for losses, rounded to float32 once. Images and activations are stored channels last (N, H, W, C),
parameters in PyTorch's shapes.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

import curvature
import directions
import dropout
import keys
import layers
import optimizers
import trajectories

SEED = 20180518
HERE = Path(__file__).parent


def write(name, tensors, settings):
    """One safetensors file; the settings go into its header as JSON."""
    path = HERE / "vectors" / f"{name}.safetensors"
    tensors = {key: value.contiguous() for key, value in tensors.items()}
    save_file(tensors, path, metadata={"settings": json.dumps(settings)})
    print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size / 1024:.0f} KiB")


def main():
    for folder in ("vectors", "keys"):
        (HERE / folder).mkdir(exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    keys.generate(HERE / "keys")
    write("layers", *layers.generate())
    write("directions", *directions.generate())
    write("dropout", *dropout.generate())
    write("optimizers", *optimizers.generate())
    for network in curvature.NETWORKS:
        write(f"curvature-{network}", *curvature.generate(network))
    for network in trajectories.NETWORKS:
        write(network, *trajectories.generate(network))


if __name__ == "__main__":
    main()
