"""Forward and backward of each layer on a small batch: x, y, the output gradient dy, the input
gradient dx, every parameter and its gradient, and batch norm's running statistics.

Tensors of a case are named `case.x`, `case.y`, `case.dy`, `case.dx`, `case.parameter.NAME`,
`case.gradient.NAME`, `case.before.NAME` and `case.after.NAME` (buffers before and after the pass).
"""

import copy

import torch
from torch import nn

import networks

SEED = 7

# Case: (module, shape of x).
CASES = {
    "linear": (nn.Linear(7, 5), (6, 7)),
    "linear-no-bias": (nn.Linear(7, 5, bias=False), (6, 7)),
    "conv-3x3": (nn.Conv2d(4, 6, 3, padding=1, bias=False), (3, 4, 7, 9)),
    "conv-3x3-bias-no-padding": (nn.Conv2d(4, 6, 3), (3, 4, 7, 9)),
    "conv-3x3-stride-2": (nn.Conv2d(4, 6, 3, 2, 1, bias=False), (3, 4, 8, 9)),
    "conv-1x1-stride-2": (nn.Conv2d(5, 8, 1, 2, bias=False), (3, 5, 8, 9)),
    "conv-5x5-rgb": (nn.Conv2d(3, 17, 5, padding=2, bias=False), (2, 3, 11, 8)),
    "conv-7x7-stride-2": (nn.Conv2d(3, 5, 7, 2, 3, bias=False), (2, 3, 15, 14)),
    "conv-11x11-stride-4": (nn.Conv2d(3, 4, 11, 4, 2), (2, 3, 21, 23)),
    "max-pool-3-stride-2": (nn.MaxPool2d(3, 2), (3, 5, 9, 8)),
    "max-pool-3-stride-2-padding-1": (nn.MaxPool2d(3, 2, 1), (3, 5, 9, 8)),
    "max-pool-2-stride-2": (nn.MaxPool2d(2, 2), (3, 5, 8, 7)),
    "average-pool-4": (nn.AvgPool2d(4), (3, 5, 8, 12)),
    "average-pool-global": (nn.AdaptiveAvgPool2d(1), (3, 5, 7, 6)),
    "relu": (nn.ReLU(), (3, 5, 4, 6)),
    "batch-norm-1d": (nn.BatchNorm1d(6), (9, 6)),
    "batch-norm-2d": (nn.BatchNorm2d(5), (4, 5, 6, 3)),
    "basic-block": (networks.BasicBlock(4, 4), (4, 4, 6, 7)),
    "basic-block-stride-2": (networks.BasicBlock(4, 8, 2), (4, 4, 6, 7)),
    "bottleneck": (networks.Bottleneck(12, 3), (4, 12, 6, 5)),
    "bottleneck-stride-2": (networks.Bottleneck(6, 3, 2), (4, 6, 6, 5)),
}


def channels_last(t):
    """(N, C, H, W) as (N, H, W, C)."""
    return t.permute(0, 2, 3, 1) if t.dim() == 4 else t


def randomise(module, generator):
    """Weights, gamma, beta and running statistics that are nowhere 0 or 1."""
    for name, p in module.named_parameters():
        p.data = 0.5 * torch.randn(p.shape, generator=generator)
        if "bn" in name or p.dim() == 1 and name == "weight":
            p.data += 1
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
        elif name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))


def floats(state):
    return {key: value.clone() for key, value in state.items() if value.is_floating_point()}


def passes(module, x, dy_generator):
    """One forward and backward pass in float64 from the float32 values."""
    module = copy.deepcopy(module).double()
    before = floats(dict(module.named_buffers()))
    x = x.double().requires_grad_()
    y = module(x)
    dy = torch.randn(y.shape, generator=dy_generator)
    y.backward(dy.double())
    out = {"x": x, "y": y, "dy": dy, "dx": x.grad}
    out = {key: channels_last(value) for key, value in out.items()}
    for name, p in module.named_parameters():
        out |= {f"parameter.{name}": p, f"gradient.{name}": p.grad}
    out |= {f"before.{name}": value for name, value in before.items()}
    if module.training:
        out |= {f"after.{name}": value for name, value in floats(dict(module.named_buffers())).items()}
    return out


def cross_entropy(generator):
    """Mean cross-entropy, its gradient, and how many labels are among the k largest logits."""
    logits = 3 * torch.randn(17, 12, generator=generator)
    labels = torch.randint(0, 12, (17,), generator=generator)
    x = logits.double().requires_grad_()
    loss = nn.functional.cross_entropy(x, labels)
    loss.backward()
    found = x.topk(5).indices == labels[:, None]
    return {
        "x": logits,
        "labels": labels,
        "loss": loss.reshape(1),
        "dx": x.grad,
        "top1": found[:, :1].sum().reshape(1),
        "top5": found.sum().reshape(1),
    }


def dropout(generator):
    """Dropout with p = 0.4, its mask exported: y = x mask / (1 - p)."""
    x = torch.randn(8, 30, generator=generator).double().requires_grad_()
    torch.manual_seed(SEED)
    y = nn.functional.dropout(x, 0.4)
    dy = torch.randn(y.shape, generator=generator)
    y.backward(dy.double())
    return {"x": x, "y": y, "dy": dy, "dx": x.grad, "mask": (y != 0).to(torch.uint8)}


def generate():
    """All cases as (tensors, settings)."""
    generator = torch.Generator().manual_seed(SEED)
    cases = {}
    for name, (module, shape) in CASES.items():
        randomise(module, generator)
        x = torch.randn(shape, generator=generator)
        cases[name] = passes(module, x, generator)
        if any(True for _ in module.buffers()):
            cases[f"{name}-evaluation"] = passes(module.eval(), x, generator)
    cases["cross-entropy"] = cross_entropy(generator)
    cases["dropout"] = dropout(generator)
    tensors = {}
    for name, case in cases.items():
        for key, value in case.items():
            keep = value.dtype == torch.float64 and key != "loss"
            tensors[f"{name}.{key}"] = (value.float() if keep else value).detach()
    return tensors, {}
