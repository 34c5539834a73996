"""Loss, gradient, Hessian and Keskar sharpness of a small MLP and a small CNN, in float64.

The Hessian is autograd's, whole. Keskar's maximum (arXiv:1609.04836, metric 2.1, A = I) is sought by
SciPy's L-BFGS-B, run until it converges from w, the vertex that the gradient points to, and 30 random
vertices; then single coordinates of the best point are sent to the other end of the box for as long
as that raises the loss. What is written is the highest loss seen: no search of ours should be far
below it.

The networks are trained a little, so that some eigenvalues stand out and the gradient is small.
"""

import numpy as np
import torch
from scipy.optimize import minimize
from torch import nn
from torch.func import functional_call

EXAMPLES = 15
CLASSES = 3
EPSILONS = [1e-3, 5e-4, 1e-2]
RANDOM_STARTS = 30


def mlp():
    """16 pixels, two hidden layers."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, CLASSES)
    )


def cnn():
    """Two convolutions with batch norm, the second behind a pool."""
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Flatten(), nn.Linear(36, CLASSES),
    )  # fmt: skip


# A network, the shape of its images, steps of training, and the seed of weights and data (a calm one:
# see `margin`).
NETWORKS = {"mlp": (mlp, (1, 4, 4), 30, 20181201), "cnn": (cnn, (2, 6, 6), 8, 20181224)}


class Loss:
    """The mean cross-entropy as a function of one vector of parameters; batch norm takes the
    statistics of all examples, as in training."""

    def __init__(self, network, images, labels):
        self.network, self.images, self.labels = network.double(), images.double(), labels
        self.parameters = dict(network.named_parameters())
        self.w = torch.cat([p.detach().reshape(-1) for p in self.parameters.values()])

    def named(self, w):
        parts = w.split([p.numel() for p in self.parameters.values()])
        return {n: v.view(p.shape) for (n, p), v in zip(self.parameters.items(), parts)}

    def __call__(self, w):
        logits = functional_call(self.network, self.named(w), self.images)
        return nn.functional.cross_entropy(logits, self.labels)

    def value_and_gradient(self, x):
        w = torch.tensor(x, requires_grad=True)
        value = self(w)
        return value.item(), torch.autograd.grad(value, w)[0].numpy()


def trained(build, shape, steps, seed):
    """The loss after some steps of Adam."""
    torch.manual_seed(seed)
    images = torch.randn(EXAMPLES, *shape)
    labels = torch.arange(EXAMPLES) % CLASSES
    images += 0.5 * torch.randn(CLASSES, *shape)[labels]
    network = build()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return Loss(network, images, labels)


def margin(loss):
    """The distance of the nearest ReLU and the nearest pooled pair from its kink.

    A finite difference must not cross one: there the derivative of the difference is another.
    """
    least = [float("inf")]

    def relu(_, inputs, __):
        least.append(inputs[0].abs().min().item())

    def pool(_, inputs, __):
        n, c, h, w = inputs[0].shape
        windows = inputs[0].view(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 2, 4, 3, 5).reshape(-1, 4)
        top = windows.topk(2).values
        least.append((top[:, 0] - top[:, 1])[top[:, 0] > 0].min().item())

    handles = [
        module.register_forward_hook(relu if isinstance(module, nn.ReLU) else pool)
        for module in loss.network
        if isinstance(module, (nn.ReLU, nn.MaxPool2d))
    ]
    loss(loss.w)
    for handle in handles:
        handle.remove()
    return min(least)


def keskar_maximum(loss, epsilon, random):
    """The highest loss in Keskar's box by all the ways above."""
    w = loss.w.numpy()
    half = epsilon * (np.abs(w) + 1)
    low, high = w - half, w + half

    def negated(x):
        value, gradient = loss.value_and_gradient(x)
        return -value, -gradient

    uphill = np.where(loss.value_and_gradient(w)[1] > 0, high, low)
    starts = [w, uphill] + [np.where(random.random(w.size) < 0.5, low, high) for _ in range(RANDOM_STARTS)]
    options = dict(maxcor=10, ftol=1e-15, gtol=1e-12, maxiter=2000)
    ends = [
        minimize(negated, start, jac=True, method="L-BFGS-B", bounds=np.c_[low, high], options=options)
        for start in starts
    ]
    best = min(ends, key=lambda end: end.fun)
    x, value = best.x.copy(), -best.fun
    rose = True
    while rose:
        rose = False
        for i in range(x.size):
            for end in (low[i], high[i]):
                trial = x.copy()
                trial[i] = end
                reached = loss.value_and_gradient(trial)[0]
                if reached > value:
                    x, value, rose = trial, reached, True
    return value


def generate(name):
    """Everything that the tests compare with, and the settings."""
    build, shape, steps, seed = NETWORKS[name]
    loss = trained(build, shape, steps, seed)
    assert margin(loss) > 5e-4, f"{name}: a kink at {margin(loss)}: take another seed"
    w = loss.w.clone().requires_grad_()
    value = loss(w)
    hessian = torch.autograd.functional.hessian(loss, loss.w)
    hessian = (hessian + hessian.T) / 2
    vectors = torch.randn(3, loss.w.numel(), dtype=torch.float64)
    random = np.random.default_rng(seed)
    maxima = [keskar_maximum(loss, epsilon, random) for epsilon in EPSILONS]
    diagonals = hessian.diag().split([p.numel() for p in loss.parameters.values()])
    tensors = {
        "images": loss.images.permute(0, 2, 3, 1),
        "labels": loss.labels,
        "w": loss.w,
        "loss": value.detach().reshape(1),
        "gradient": torch.autograd.grad(value, w)[0],
        "eigenvalues": torch.linalg.eigvalsh(hessian),
        "block_traces": torch.stack([diagonal.sum() for diagonal in diagonals]),
        "vectors": vectors,
        "products": vectors @ hessian,
        "keskar_maxima": torch.tensor(maxima, dtype=torch.float64),
    }
    blocks = [list(p.shape) for p in loss.parameters.values()]
    return tensors, {"seed": seed, "epsilons": EPSILONS, "classes": CLASSES, "blocks": blocks}


if __name__ == "__main__":
    # Calm seeds, to choose from.
    torch.set_num_threads(1)
    for name, (build, shape, steps, first) in NETWORKS.items():
        for seed in range(first, first + 40):
            found = trained(build, shape, steps, seed)
            print(name, seed, found.w.numel(), f"margin {margin(found):.1e} loss {found(found.w):.4f}")
