"""Filter-normalised directions for a linear weight, a convolution and a bias, as the authors draw
them: theta_f = a u_f |w_f| / (|u_f| + 1e-6), with and without the 1e-6."""

import torch

SHAPES = {"linear": (5, 7), "conv": (4, 3, 3, 2), "bias": (6,)}
RADIUS = 0.1


def generate():
    """u, w, `theta` (the authors') and `exact` (without the guard) for each kind of tensor."""
    generator = torch.Generator().manual_seed(11)
    tensors = {}
    for name, shape in SHAPES.items():
        u = 2 * torch.rand(shape, generator=generator) - 1
        w = torch.randn(shape, generator=generator)
        w[-1] = 0  # a zero filter gives a zero direction
        rows = (shape[0], -1)
        for key, guard in (("theta", 1e-6), ("exact", 0.0)):
            scale = w.double().reshape(rows).norm(dim=1) / (u.double().reshape(rows).norm(dim=1) + guard)
            theta = RADIUS * u.double() * scale.reshape(-1, *[1] * (len(shape) - 1))
            tensors[f"{name}.{key}"] = theta.float()
        tensors |= {f"{name}.u": u, f"{name}.w": w}
    return tensors, {"radius": RADIUS}
