"""Ten training steps of narrow F1, C1 and ResNet-8 with each optimiser, each method and some rivals.

The networks run in float64 from weights and data that float32 holds exactly, so the vectors do not
depend on the machine.
"""

import torch
from torch import nn
from torch.optim import swa_utils

import networks
import perturbations

STEPS = 10
BATCH = 16
GHOST = 8

# A narrow network, the shape of its images, and the seed of its weights and data (a calm one: see `is_calm`).
NETWORKS = {
    "f1": (lambda: networks.F1(10, 784, 16), (1, 28, 28), 20180520),
    "c1": (lambda: networks.C1(10, 6, dropout=0.0), (3, 32, 32), 20181540),
    "resnet8": (lambda: networks.CifarResNet(8, 10, width=4), (3, 32, 32), 20182565),
}

SGD = dict(optimizer="sgd", lr=0.05, momentum=0.9, weight_decay=1e-4, nesterov=False)
ADAM = dict(optimizer="adam", lr=1e-3, weight_decay=1e-4)
SMOOTHOUT = dict(geometry="absolute", radius=0.02, denoise=True)
ADASMOOTHOUT = dict(geometry="filter", radius=0.2, denoise=True)

VARIANTS = {
    "sgd": SGD,
    "nesterov": SGD | dict(nesterov=True),
    "adam": ADAM,
    "adamw": ADAM | dict(optimizer="adamw", weight_decay=1e-2),
    "smoothout": SGD | SMOOTHOUT,
    "smoothout-adam": ADAM | SMOOTHOUT,
    "smoothout-no-denoise": SGD | SMOOTHOUT | dict(denoise=False),
    "adasmoothout": SGD | ADASMOOTHOUT,
    "adasmoothout-no-denoise": SGD | ADASMOOTHOUT | dict(denoise=False, radius=0.05),
    "elementwise": SGD | ADASMOOTHOUT | dict(geometry="elementwise"),
    "sam": SGD | dict(method="sam", rho=0.05),
    "asam": SGD | dict(method="asam", rho=0.5, eta=0.01),
    "swa": SGD | dict(method="swa", start=4, cycle=3),
}


def images(shape, generator):
    """Two batches of bytes (N, C, H, W) and their labels: a blurred pattern per class, and grain."""
    patterns = torch.rand(10, shape[0], 4, 4, generator=generator)
    patterns = nn.functional.interpolate(patterns, shape[1:], mode="bilinear") * 255
    labels = torch.randint(0, 10, (2, BATCH), generator=generator)
    grain = torch.rand(2, BATCH, *shape, generator=generator) * 255
    return (0.5 * patterns[labels] + 0.5 * grain).to(torch.uint8), labels


def start(build, seed):
    """Initial weights: PyTorch's, but batch norm's gamma in (0.8, 1.2) and beta in (1, 2).

    So both are seen to be read, and fewer ReLUs stand where rounding decides.
    """
    torch.manual_seed(seed)
    network = build()
    for module in network.modules():
        if hasattr(module, "running_mean"):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, 1, 2)
    return network.state_dict()


def optimizer(network, settings):
    """PyTorch's optimiser for these settings."""
    common = dict(lr=settings["lr"], weight_decay=settings["weight_decay"])
    if settings["optimizer"] == "sgd":
        more = dict(momentum=settings["momentum"], nesterov=settings["nesterov"])
        return torch.optim.SGD(network.parameters(), **common, **more)
    kind = torch.optim.Adam if settings["optimizer"] == "adam" else torch.optim.AdamW
    return kind(network.parameters(), **common)


@torch.no_grad()
def ascend(network, settings):
    """w + epsilon, line 2 of SAM's (arXiv:2010.01412) and ASAM's (arXiv:2102.11600) algorithm 1.

    ASAM's T is |w| + eta on weights and batch norm's gammas, as in its authors' asam.py.
    """
    eta = settings.get("eta")
    parameters = dict(network.named_parameters())
    stretch = {
        name: torch.ones_like(p) if eta is None or "weight" not in name else p.abs() + eta
        for name, p in parameters.items()
    }
    norm = sum((stretch[name] * p.grad).square().sum() for name, p in parameters.items()).sqrt()
    for name, p in parameters.items():
        p.add_(settings["rho"] * stretch[name] ** 2 * p.grad / norm)


def second_gradient(network, x, y, settings):
    """The loss and gradient at w + epsilon; w and the running statistics are as before."""
    clean = {key: value.clone() for key, value in network.state_dict().items()}
    ascend(network, settings)
    network.zero_grad()
    loss = nn.functional.cross_entropy(network(x), y)
    loss.backward()
    network.load_state_dict(clean)
    return loss


def train(network, data, labels, settings):
    """Ten steps as in the authors' main_gbn.py; returns the losses and the gradient norms.

    With SWA the network ends as PyTorch's averaged model, with the batch norm statistics of the data.
    """
    method = settings.get("method")
    average = swa_utils.AveragedModel(network) if method == "swa" else None
    geometry = settings.get("geometry")
    copies = BATCH // GHOST if geometry else 1
    step_of = optimizer(network, settings)
    losses, norms = [], []
    network.train()
    for step in range(STEPS):
        x, y = data[step % 2], labels[step % 2]
        step_of.zero_grad()
        loss_of_batch = 0.0
        for copy, (x, y) in enumerate(zip(x.chunk(copies), y.chunk(copies))):
            parameters = dict(network.named_parameters())
            clean = {name: p.detach().clone() for name, p in parameters.items()}
            if geometry:
                drawn = perturbations.draw(network, geometry, settings["radius"], step, copy)
                for name, theta in drawn.items():
                    parameters[name].data.add_(theta)
            loss = nn.functional.cross_entropy(network(x), y)
            loss.backward()
            if method in ("sam", "asam"):
                loss = second_gradient(network, x, y, settings)
            loss_of_batch += loss.item() / copies
            if geometry and settings["denoise"]:
                for name, p in parameters.items():
                    p.data.copy_(clean[name])
        for p in network.parameters():
            p.grad.div_(copies)
        norm = nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        step_of.step()
        losses.append(loss_of_batch)
        norms.append(norm.item())
        since = step + 1 - settings.get("start", STEPS + 1)
        if since >= 0 and since % settings["cycle"] == 0:
            average.update_parameters(network)
    if average:
        swa_utils.update_bn(list(data), average)
        network.load_state_dict(average.module.state_dict())
    return losses, norms


def run(name, initial, data, labels, settings, dtype):
    """One trajectory in the given precision, from the exported weights and bytes."""
    network = NETWORKS[name][0]().to(dtype)
    network.load_state_dict(initial)
    losses, norms = train(network, (data.to(dtype) - 128) / 64, labels, settings)
    return losses, norms, network.state_dict()


def drift(expected, found):
    """The largest relative distance of two lists of numbers."""
    return max(abs(a - b) / abs(a) for a, b in zip(expected, found))


def is_calm(name, initial, data, labels, settings, losses):
    """True if rounding errors stay rounding errors.

    Where a pre-activation passes zero within rounding, two right implementations part ways, and
    such a start tells nothing. So a run in float32 and twelve in float64, from weights moved by
    float32's rounding error, must keep every loss within 1e-5.
    """
    generator = torch.Generator().manual_seed(0)
    for attempt in range(13):
        dtype = torch.float32 if attempt == 0 else torch.float64
        moved = {
            key: p.double() * (1 + 1e-7 * torch.randn(p.shape, generator=generator).double())
            for key, p in initial.items()
        }
        other = run(name, initial if attempt == 0 else moved, data, labels, settings, dtype)
        if drift(losses, other[0]) > 1e-5:
            return False
    return True


def generate(name):
    """All vectors of one network as (tensors, settings)."""
    build, shape, seed = NETWORKS[name]
    initial = start(build, seed)
    data, labels = images(shape, torch.Generator().manual_seed(seed))
    tensors = {f"initial.{key}": value for key, value in initial.items()}
    tensors["images"] = data.permute(0, 1, 3, 4, 2)
    tensors["labels"] = labels
    for variant, settings in VARIANTS.items():
        losses, norms, final = run(name, initial, data, labels, settings, torch.float64)
        if not is_calm(name, initial, data, labels, settings, losses):
            raise SystemExit(f"{name} {variant}: seed {seed} is too sensitive to rounding, take another")
        print(f"{name} {variant}: loss {losses[0]:.4f} to {losses[-1]:.4f}, norm to {max(norms):.2f}")
        tensors[f"{variant}.losses"] = torch.tensor(losses, dtype=torch.float64)
        tensors[f"{variant}.gradient_norms"] = torch.tensor(norms, dtype=torch.float64)
        for key, value in final.items():
            if value.is_floating_point():
                tensors[f"{variant}.final.{key}"] = value.float()
    return tensors, VARIANTS
