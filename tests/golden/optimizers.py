"""Twenty updates of 40 weights by each of PyTorch's rules from the same gradients, in float64."""

import torch

STEPS = 20
WEIGHTS = 40

RULES = {
    "sgd": (torch.optim.SGD, dict(lr=0.1)),
    "sgd-decay": (torch.optim.SGD, dict(lr=0.1, weight_decay=0.01)),
    "momentum": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=1e-3)),
    "nesterov": (torch.optim.SGD, dict(lr=0.1, momentum=0.8, weight_decay=1e-3, nesterov=True)),
    "adam": (torch.optim.Adam, dict(lr=0.01)),
    "adam-decay": (torch.optim.Adam, dict(lr=0.01, betas=(0.8, 0.99), eps=1e-4, weight_decay=0.1)),
    "adamw": (torch.optim.AdamW, dict(lr=0.01, weight_decay=0.1)),
}


def generate():
    """`initial`, `gradients` (a row a step) and, for each rule, the weights after each step."""
    generator = torch.Generator().manual_seed(5)
    initial = torch.randn(WEIGHTS, generator=generator)
    scale = torch.logspace(-6, 1, WEIGHTS)
    gradients = torch.randn(STEPS, WEIGHTS, generator=generator) * scale
    gradients[:, 0] = 0  # a weight that the loss does not depend on
    tensors = {"initial": initial, "gradients": gradients}
    for name, (rule, settings) in RULES.items():
        w = initial.double().clone().requires_grad_()
        optimizer = rule([w], **settings)
        rows = []
        for gradient in gradients.double():
            w.grad = gradient.clone()
            optimizer.step()
            rows.append(w.detach().clone())
        tensors[name] = torch.stack(rows)
    return tensors, {name: settings for name, (_, settings) in RULES.items()}
