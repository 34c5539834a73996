"""Dropout for every mask of five units: whichever mask an implementation draws, its answer is here.

One image of four numbers, a linear stem to five units, dropout with p = 0.4, cross-entropy.
"""

import torch
from torch import nn

UNITS = 5
P = 0.4


def generate():
    """`masks`, and for each the `logits`, `loss` and `gradient` of the stem's weight."""
    generator = torch.Generator().manual_seed(3)
    stem = nn.Linear(4, UNITS, bias=False)
    stem.weight.data = torch.randn(UNITS, 4, generator=generator)
    image, label = torch.randn(1, 4, generator=generator), torch.tensor([2])
    tensors = {"images": image.reshape(1, 1, 1, 4), "labels": label}
    tensors["parameter.stem.weight"] = stem.weight.detach().clone()
    stem.double()
    rows, seed = {}, 0
    while len(rows) < 2**UNITS:
        torch.manual_seed(seed)
        seed += 1
        logits = nn.functional.dropout(stem(image.double()), P)
        mask = (logits[0] != 0).to(torch.uint8)
        if tuple(mask.tolist()) not in rows:
            stem.zero_grad()
            loss = nn.functional.cross_entropy(logits, label)
            loss.backward()
            rows[tuple(mask.tolist())] = (mask, logits[0].detach(), loss.detach(), stem.weight.grad.clone())
    columns = [torch.stack(column) for column in zip(*(rows[key] for key in sorted(rows)))]
    tensors |= dict(zip(("masks", "logits", "loss", "gradient"), columns))
    return tensors, {"p": P}
