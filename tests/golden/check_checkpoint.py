"""Checks a checkpoint both ways: the program's loads in PyTorch, PyTorch's loads in the program.

    python tests/golden/check_checkpoint.py --program target/release/smoothout \
        --model f1 --dataset mnist --data-dir data/mnist [--weights runs/x/last.safetensors]

With --weights the program's checkpoint is loaded into the PyTorch module with strict=True; without,
PyTorch writes a random one with running statistics of real images. Then both evaluate the first
--limit test images, and loss, top-1 and top-5 must agree.
"""

import argparse
import gzip
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import networks


def mnist(folder, limit):
    """The first test images, (x - 0.5) / 0.5, and their labels."""
    def read(stem, header):
        path = next(p for p in (folder / f"{stem}.gz", folder / stem) if p.exists())
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return np.frombuffer(data, np.uint8)[header:]

    pixels = read("t10k-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)[:limit]
    labels = read("t10k-labels-idx1-ubyte", 8)[:limit]
    return (pixels / 255.0 - 0.5) / 0.5, labels


def cifar(folder, limit, name, label_bytes):
    """The first test images with the authors' mean and deviation, and their (fine) labels."""
    path = next(folder.rglob(name))
    rows = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, label_bytes + 3072)[:limit]
    pixels = rows[:, label_bytes:].reshape(-1, 3, 32, 32) / 255.0
    mean = np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    deviation = np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    return (pixels - mean) / deviation, rows[:, label_bytes - 1]


def load(dataset, folder, limit):
    """Images (N, C, H, W) and labels."""
    if dataset == "mnist":
        images, labels = mnist(folder, limit)
    elif dataset == "cifar10":
        images, labels = cifar(folder, limit, "test_batch.bin", 1)
    else:
        images, labels = cifar(folder, limit, "test.bin", 2)
    return torch.tensor(images, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)


def evaluate(network, images, labels):
    """Mean loss, and top-1 and top-5 in percent."""
    with torch.no_grad():
        logits = torch.cat([network(x) for x in images.split(500)]).double()
    found = logits.topk(5).indices == labels[:, None]
    return {
        "loss": torch.nn.functional.cross_entropy(logits, labels).item(),
        "top1": 100 * found[:, 0].double().mean().item(),
        "top5": 100 * found.any(1).double().mean().item(),
        "examples": len(labels),
    }


def random_checkpoint(network, images, path):
    """Saves the network with running statistics of a few batches."""
    network.train()
    with torch.no_grad():
        for x in images.split(100)[:20]:
            network(x)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--classes", type=int)
    parser.add_argument("--dataset", required=True, choices=["mnist", "cifar10", "cifar100"])
    parser.add_argument("--data-dir", required=True, type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--limit", type=int, default=2000)
    args = parser.parse_args()
    classes = args.classes or (100 if args.dataset == "cifar100" else 10)

    torch.manual_seed(1)
    network = networks.by_name(args.model, classes)
    images, labels = load(args.dataset, args.data_dir, args.limit)
    with tempfile.TemporaryDirectory() as folder:
        weights = args.weights or Path(folder) / "random.safetensors"
        if args.weights is None:
            random_checkpoint(network, images, weights)
        network.load_state_dict(load_file(weights), strict=True)
        theirs = evaluate(network.eval(), images, labels)
        command = [args.program, "eval", "--model", args.model, "--classes", str(classes),
                   "--weights", weights, "--dataset", args.dataset, "--data-dir", args.data_dir,
                   "--split", "test", "--limit", str(args.limit), "--json"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
    ours = json.loads(answer.stdout)
    print("PyTorch:", theirs)
    print("program:", {key: ours[key] for key in theirs})
    # One image may fall either way where two logits are equal up to rounding.
    image = 100 / len(labels)
    same = abs(ours["loss"] - theirs["loss"]) <= 1e-4 * theirs["loss"] and all(
        abs(ours[key] - theirs[key]) <= image + 1e-9 for key in ("top1", "top5")
    )
    if not same or ours["examples"] != theirs["examples"]:
        raise SystemExit("the two disagree")
    print("the two agree")


if __name__ == "__main__":
    main()
