"""Times training steps against PyTorch on the same cores, in turn.

    python3 -m venv V && V/bin/pip install torch==2.15.0 numpy==2.4.6      # once; 5.4 GB
    V/bin/python crates/smoothout/benches/against_pytorch.py [--rounds 3] [--threads 2] [--only WORD]

For each work, `--rounds` times: PyTorch in f32 in a process of its own, then `smoothout bench step`.
A step is forward (batch norm in training mode), cross-entropy, backward, and SGD with momentum and
weight decay, on one batch of random images; PyTorch runs in its best mode (channels_last, fused SGD).
Machines drift by a quarter within minutes, so only the ratio within a round counts: printed are the
medians of each side and the median of the rounds' ratios. Then what SmoothOut and AdaSmoothOut add to
the plain step, what two threads gain over one, and a large batch in ghost batches, each in turn too.
The share of the peak counts direct convolution, whatever the kernels do, against fused multiply-adds.
`--bf16` times PyTorch's bfloat16 autocast and `--precision bf16` as well.
"""

import argparse
import json
import math
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]

# name: (network, classes, batch, forward only, steps of theirs, steps of ours)
WORKS = {
    "resnet44 b128": ("resnet44", 100, 128, False, 3, 4),
    "c3 b128": ("c3", 100, 128, False, 6, 8),
    "c2 b128": ("c2", 10, 128, False, 2, 3),
    "f1 b128": ("f1", 10, 128, False, 40, 60),
    "f1 b4096": ("f1", 10, 4096, False, 4, 5),
    "resnet44 forward b500": ("resnet44", 100, 500, True, 3, 4),
}


def build(torch, name, classes):
    """The same layers as ours, with PyTorch's modules."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(True),
                nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
            same = stride == 1 and inputs == outputs
            self.shortcut = nn.Identity() if same else nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            self.relu = nn.ReLU(True)

        def forward(self, x):
            y = self.body(x)
            y += self.shortcut(x)
            return self.relu(y)

    if name == "resnet44":
        layers, channels = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True)], 16
        for stage, outputs in enumerate((16, 32, 64)):
            for block in range(7):
                layers.append(Block(channels, outputs, 2 if stage > 0 and block == 0 else 1))
                channels = outputs
        model = nn.Sequential(*layers, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, classes))
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                module.weight.data.normal_(0, math.sqrt(2 / fan_out))
        return model, (3, 32, 32)
    if name == "c2":
        layers, inputs = [], 3
        for outputs, dropouts in ((64, (0.3,)), (128, (0.4,)), (256, (0.4, 0.4)), (512, (0.4, 0.4)), (512, (0.4, 0.4))):
            for dropout in (*dropouts, None):
                layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU(True)]
                layers += [nn.MaxPool2d(2) if dropout is None else nn.Dropout(dropout)]
                inputs = outputs
        layers += [nn.Flatten(), nn.Dropout(0.5), nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(True)]
        return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(512, classes)), (3, 32, 32)
    if name == "c3":
        layers = []
        for inputs in (3, 64):
            layers += [nn.Conv2d(inputs, 64, 5, padding=2, bias=False), nn.MaxPool2d(3, 2), nn.BatchNorm2d(64), nn.ReLU(True)]
        layers.append(nn.Flatten())
        for inputs, outputs in ((3136, 384), (384, 192)):
            layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(True), nn.Dropout(0.5)]
        return nn.Sequential(*layers, nn.Linear(192, classes)), (3, 32, 32)
    layers, inputs = [nn.Flatten()], 784
    for _ in range(5):
        layers += [nn.Linear(inputs, 512), nn.BatchNorm1d(512), nn.ReLU(True)]
        inputs = 512
    return nn.Sequential(*layers, nn.Linear(512, classes)), (1, 28, 28)


def theirs(args):
    """The process that runs PyTorch: prints one JSON object."""
    import torch

    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)
    name, classes, batch, forward, steps, _ = WORKS[args.theirs]
    model, shape = build(torch, name, classes)
    x, y = torch.randn(batch, *shape), torch.randint(0, classes, (batch,))
    if name != "f1":
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, fused=True)
    model.train(not forward)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16):
            if forward:
                with torch.inference_mode():
                    return torch.nn.functional.cross_entropy(model(x), y).item()
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    step(), step()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"ms": statistics.median(times), "rss_mb": memory, "version": torch.__version__}))


def run(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def ours(program, work, threads, *options, steps=None):
    name, classes, batch, forward, _, default = WORKS[work]
    command = [program, "bench", "step", "--model", name, "--classes", str(classes), "--batch-size", str(batch)]
    command += ["--threads", str(threads), "--steps", str(steps or default), "--json"] + ["--forward"] * forward
    return run([*command, *options])


def has_bf16(program):
    command = [program, "bench", "step", "--model", "f1", "--batch-size", "8", "--steps", "1", "--precision", "bf16"]
    return subprocess.run(command, capture_output=True).returncode == 0


def compare(title, rounds, sides, peak=None):
    """Runs the sides in turn; prints the medians, the median ratio of each to the first, and shares of the peak."""
    found = [[side() for side in sides.values()] for _ in range(rounds)]
    first = [row[0]["ms"] for row in found]
    print(title)
    for k, side in enumerate(sides):
        ms = [row[k]["ms"] for row in found]
        ratio = statistics.median(m / f for m, f in zip(ms, first))
        memory = max(row[k]["rss_mb"] for row in found)
        line = f"  {side:24} {statistics.median(ms):9.2f} ms ({min(ms):.2f} to {max(ms):.2f})   {ratio:6.3f}   {memory:5.0f} MB"
        if peak and "gflops" in found[0][k]:
            line += f"   {statistics.median(row[k]['gflops'] for row in found) / peak:5.2f} of the peak"
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="works and tables whose name contains this")
    parser.add_argument("--bf16", action="store_true", help="both in bfloat16 as well, ours where the CPU multiplies it")
    parser.add_argument("--theirs", choices=WORKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.theirs:
        return theirs(args)

    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "smoothout"], cwd=ROOT, check=True)
    program = str(ROOT / "target" / "release" / "smoothout")
    machine = run([program, "bench", "machine", "--threads", str(args.threads), "--json"])
    print(f"{machine['threads']} threads, {machine['fma_peak_gflops']:.0f} GFLOP/s of multiply-adds, "
          f"{machine['memory_bandwidth_gbs']:.0f} GB/s, {machine['kernels']}")
    print("medians (over the rounds), ratio to the first line of each table, peak memory")
    torch = [sys.executable, __file__, "--threads", str(args.threads)]
    for work in WORKS:
        if args.only in work:
            sides = {"PyTorch": lambda: run([*torch, "--theirs", work])}
            if args.bf16:
                sides["PyTorch, bf16"] = lambda: run([*torch, "--bf16", "--theirs", work])
            sides["smoothout"] = lambda: ours(program, work, args.threads)
            if args.bf16 and has_bf16(program):
                sides["smoothout, bf16"] = lambda: ours(program, work, args.threads, "--precision", "bf16")
            compare(work, args.rounds, sides, machine["fma_peak_gflops"])
    for work, steps in (("resnet44 b128", 4), ("c3 b128", 8), ("f1 b128", 60)):
        if args.only in f"overhead {work}":
            compare(f"overhead {work}", args.rounds, {
                method: lambda method=method: ours(program, work, args.threads, "--method", method, steps=steps)
                for method in ("plain", "smoothout", "adasmoothout")
            })
    if args.only in "threads":
        compare("threads: resnet44 b128", args.rounds, {
            f"{threads} threads": lambda threads=threads: ours(program, "resnet44 b128", threads, steps=12) for threads in (1, 2)
        })
    if args.only in "ghost batches":
        name, classes = "resnet44", 100
        def large(batch, steps):
            command = [program, "bench", "step", "--model", name, "--classes", str(classes), "--batch-size", str(batch)]
            command += ["--ghost-batch-size", "128", "--threads", str(args.threads), "--steps", str(steps), "--warm-up", "1", "--json"]
            found = run(command)
            return {**found, "ms": found["ms"] * 128 / batch}
        compare("ghost batches: resnet44, ms per 128 images", args.rounds, {
            "batch 128": lambda: large(128, 4), "batch 4096 by 128": lambda: large(4096, 1),
        })


if __name__ == "__main__":
    main()
