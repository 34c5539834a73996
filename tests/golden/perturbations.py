"""Perturbations that two languages can draw alike, without a file of random numbers.

u for parameter i of copy k in step t is a hash of (t, k, i): SplitMix64's output as a 24-bit odd
multiple of 2^-24 in (-1, 1), exact in float32. From u and the weights w come, with radius a:

    absolute     theta = a u                                 (the authors' `none`: SmoothOut)
    filter       theta_f = a u_f |w_f| / |u_f|, theta_f = 0 where u_f = 0   (`filter`: AdaSmoothOut)
    elementwise  theta = a u |w|                             (`weight`)

A filter is a slice along the output axis; an element of a one-dimensional tensor is its own.
Batch norm's gamma and beta are left alone, the default of the paper's third version.
"""

import numpy as np
import torch

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def mix(z):
    """SplitMix64's finaliser on an array of uint64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(step, copy, length):
    """u_i in (-1, 1) for i = 0 .. length - 1: mix(mix(1000 t + k) + (i + 1) GAMMA)."""
    with np.errstate(over="ignore"):
        start = mix(np.array([1000 * step + copy], dtype=np.uint64))
        bits = mix(start + np.arange(1, length + 1, dtype=np.uint64) * GAMMA)
    odd = 2 * (bits >> np.uint64(40)).astype(np.int64) + 1 - (1 << 24)
    return odd.astype(np.float64) / (1 << 24)


def direction(geometry, u, w):
    """theta for radius 1."""
    if geometry == "absolute":
        return u
    if geometry == "elementwise":
        return u * w.abs()
    rows = (w.shape[0], -1)
    u_norm = u.reshape(rows).norm(dim=1)
    factor = torch.where(u_norm > 0, w.reshape(rows).norm(dim=1) / u_norm, 0)
    return u * factor.reshape(-1, *[1] * (w.dim() - 1))


def draw(network, geometry, radius, step, copy):
    """theta of every perturbed parameter, by name, at the network's present weights."""
    norms = {id(p) for m in network.modules() if hasattr(m, "running_mean") for p in m.parameters()}
    u = uniform(step, copy, sum(p.numel() for p in network.parameters()))
    thetas, start = {}, 0
    for name, p in network.named_parameters():
        piece = torch.from_numpy(u[start : start + p.numel()]).to(p.dtype).reshape(p.shape)
        start += p.numel()
        if id(p) not in norms:
            thetas[name] = radius * direction(geometry, piece, p.detach())
    return thetas
