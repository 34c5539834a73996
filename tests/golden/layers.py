"""Each layer's forward and backward, seen through the smallest network that holds it.

    images -> stem (1x1 convolution) -> layer -> head (linear, 11 classes) -> cross-entropy
    numbers -> stem (linear) -> layer -> cross-entropy, where the layer takes flat inputs

The gradient of `layer.*` is the layer's own. The layer's output y shows in the logits and in the
head's gradient, dW[k, f] = sum over images of dlogit[k] y[f]; its input gradient dx shows in the
stem's, dW[o, i] = sum over images and pixels of dx[o] x[i].

A case holds `images`, `labels`, `parameter.NAME`, `before.NAME` (running statistics), and with batch
statistics `logits`, `loss`, `gradient.NAME`, `after.NAME` and, unless two logits are equal, `top1` and
`top5`; with running statistics the same but `after` as `evaluation.logits` and so on.
"""

from collections import OrderedDict

import torch
from torch import nn

import networks

SEED = 7

# Case: (the layer, the shape of the images (C, H, W), the channels that the stem makes of them).
CASES = {
    "linear": (nn.Linear(7, 5), (9, 1, 1), 7),
    "linear-no-bias": (nn.Linear(7, 11, bias=False), (9, 1, 1), 7),
    "conv-3x3": (nn.Conv2d(4, 6, 3, padding=1, bias=False), (3, 7, 9), 4),
    "conv-3x3-bias-no-padding": (nn.Conv2d(4, 6, 3), (3, 7, 9), 4),
    "conv-3x3-stride-2": (nn.Conv2d(4, 6, 3, 2, 1, bias=False), (3, 8, 9), 4),
    "conv-1x1-stride-2": (nn.Conv2d(5, 8, 1, 2, bias=False), (3, 8, 9), 5),
    "conv-5x5": (nn.Conv2d(3, 17, 5, padding=2, bias=False), (4, 7, 6), 3),
    "conv-7x7-stride-2": (nn.Conv2d(3, 5, 7, 2, 3, bias=False), (2, 15, 14), 3),
    "conv-11x11-stride-4-bias": (nn.Conv2d(3, 4, 11, 4, 2), (2, 21, 23), 3),
    "max-pool-3-stride-2": (nn.MaxPool2d(3, 2), (3, 9, 8), 5),
    "max-pool-3-stride-2-padding-1": (nn.MaxPool2d(3, 2, 1), (3, 9, 8), 5),
    "max-pool-2-stride-2": (nn.MaxPool2d(2, 2), (3, 8, 7), 5),
    "average-pool-4": (nn.AvgPool2d(4), (3, 8, 12), 5),
    "average-pool-global": (nn.AdaptiveAvgPool2d(1), (3, 7, 6), 12),
    "relu": (nn.ReLU(), (3, 4, 6), 5),
    "batch-norm-1d": (nn.BatchNorm1d(6), (9, 1, 1), 6),
    "batch-norm-2d": (nn.BatchNorm2d(5), (3, 6, 4), 5),
    "basic-block": (networks.BasicBlock(4, 4), (3, 6, 7), 4),
    "basic-block-stride-2": (networks.BasicBlock(4, 8, 2), (3, 6, 7), 4),
    "bottleneck": (networks.Bottleneck(12, 3), (3, 6, 5), 12),
    "bottleneck-stride-2": (networks.Bottleneck(6, 3, 2), (3, 6, 5), 6),
    "cross-entropy": (nn.Identity(), (9, 1, 1), 12),
}
BATCH = 6


def small_network(layer, shape, channels):
    """Stem, layer and, behind a layer with pixels, head."""
    if shape[1:] == (1, 1):
        stem = nn.Linear(shape[0], channels, bias=False)
        parts = [("flatten", nn.Flatten()), ("stem", stem), ("layer", layer)]
    else:
        stem = nn.Conv2d(shape[0], channels, 1, bias=False)
        parts = [("stem", stem), ("layer", layer), ("flatten", nn.Flatten())]
        with torch.no_grad():
            features = nn.Sequential(OrderedDict(parts)).eval()(torch.zeros(1, *shape)).shape[1]
        parts.append(("head", nn.Linear(features, 11, bias=False)))
    return nn.Sequential(OrderedDict(parts))


def randomise(module, generator):
    """Weights, gamma, beta and running statistics that are nowhere 0 or 1."""
    scales = [name for name, m in module.named_modules() if hasattr(m, "running_mean")]
    for name, p in module.named_parameters():
        p.data = torch.randn(p.shape, generator=generator) / max(1, p[0].numel()) ** 0.5
        if name.removesuffix(".weight") in scales:
            p.data += 1
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
        elif name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))


def statistics(network):
    """The running means and variances."""
    return {name: b.clone() for name, b in network.named_buffers() if b.is_floating_point()}


def one_pass(network, x, labels):
    """Logits, loss, counts and gradients in the network's present mode."""
    network.zero_grad()
    logits = network(x)
    loss = nn.functional.cross_entropy(logits, labels)
    loss.backward()
    out = {"logits": logits.detach(), "loss": loss.detach().reshape(1)}
    if all(len(row.unique()) == len(row) for row in logits):  # which of two equals leads is open
        found = logits.topk(5).indices == labels[:, None]
        out |= {"top1": found[:, 0].sum().reshape(1), "top5": found.sum().reshape(1)}
    return out | {f"gradient.{name}": p.grad.clone() for name, p in network.named_parameters()}


def case(layer, shape, channels, generator):
    """One case in float64, from weights and images that float32 holds exactly."""
    network = small_network(layer, shape, channels)
    randomise(network, generator)
    images = torch.randn(BATCH, *shape, generator=generator)
    tensors = {"images": images.permute(0, 2, 3, 1)}
    tensors |= {f"parameter.{name}": p.detach().clone() for name, p in network.named_parameters()}
    tensors |= {f"before.{name}": value for name, value in statistics(network).items()}
    network.double()
    # Half of the labels are what the network says, so that top-1 and top-5 have something to count.
    with torch.no_grad():
        ranked = network.eval()(images.double()).argsort(1, descending=True)
    rank = torch.tensor([0, 0, 2, 4, ranked.shape[1] - 1, ranked.shape[1] - 2])
    labels = ranked[torch.arange(BATCH), rank]
    tensors["labels"] = labels
    found = one_pass(network, images.double(), labels)
    if statistics(network):
        tensors |= {f"evaluation.{name}": value for name, value in found.items()}
        tensors |= one_pass(network.train(), images.double(), labels)
        tensors |= {f"after.{name}": value for name, value in statistics(network).items()}
    else:
        tensors |= found
    return tensors


def generate():
    """All cases as (tensors, settings)."""
    generator = torch.Generator().manual_seed(SEED)
    tensors = {}
    for name, arguments in CASES.items():
        for key, value in case(*arguments, generator).items():
            rounded = value.dtype == torch.float64 and not key.endswith("loss")
            tensors[f"{name}.{key}"] = value.float() if rounded else value
    return tensors, {}
