"""The program's networks as PyTorch modules, with the names of the authors' code and of torchvision.

Every network takes images (N, C, H, W). The widths are arguments: the golden trajectories train
narrow variants, the key lists take the full ones. Batch norm, pooling and linear layers are
PyTorch's own; nothing here is initialised in a special way, since initial weights are exported.
"""

from torch import nn


class F1(nn.Module):
    """Keskar's F1 with batch norm: five hidden layers, `layers.N`."""

    def __init__(self, classes=10, inputs=784, width=512):
        super().__init__()
        layers = []
        for _ in range(5):
            layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(width, classes))

    def forward(self, x):
        return self.layers(x.flatten(1))


class C1(nn.Module):
    """The authors' shallow AlexNet for 32 x 32 images (C1; C3 with 100 classes)."""

    def __init__(self, classes=10, channels=64, dropout=0.5):
        super().__init__()
        hidden = (6 * channels, 3 * channels)
        self.features = nn.Sequential(
            nn.Conv2d(3, channels, 5, padding=2, bias=False),
            nn.MaxPool2d(3, 2),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 5, padding=2, bias=False),
            nn.MaxPool2d(3, 2),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, hidden[0], bias=False),
            nn.BatchNorm1d(hidden[0]),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden[0], hidden[1], bias=False),
            nn.BatchNorm1d(hidden[1]),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden[1], classes),
        )

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def vgg_stage(inputs, outputs, convolutions, dropout):
    """3x3 convolutions, each with batch norm, ReLU and, but for the last, dropout; then a pool."""
    layers = []
    for i in range(convolutions):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        if i + 1 < convolutions:
            layers.append(nn.Dropout(dropout))
        inputs = outputs
    return [*layers, nn.MaxPool2d(2, 2)]


class C2(nn.Module):
    """Keskar's VGG-like net for 32 x 32 images (C2; C4 with 100 classes)."""

    def __init__(self, classes=10):
        super().__init__()
        self.features = nn.Sequential(
            *vgg_stage(3, 64, 2, 0.3),
            *vgg_stage(64, 128, 2, 0.4),
            *vgg_stage(128, 256, 3, 0.4),
            *vgg_stage(256, 512, 3, 0.4),
            *vgg_stage(512, 512, 3, 0.4),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(512, 512),
            nn.BatchNorm1d(512),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(512, classes),
        )

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class BasicBlock(nn.Module):
    """relu(bn(conv3x3(relu(bn(conv3x3(x))))) + shortcut(x))."""

    expansion = 1

    def __init__(self, inputs, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = shortcut(inputs, planes, stride)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride, as in torchvision), 1x1 to four times the planes."""

    expansion = 4

    def __init__(self, inputs, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU()
        self.downsample = shortcut(inputs, 4 * planes, stride)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def shortcut(inputs, outputs, stride):
    """None where the identity fits, else a 1x1 convolution and batch norm."""
    if stride == 1 and inputs == outputs:
        return None
    convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def stage(block, inputs, planes, blocks, stride):
    """`blocks` residual blocks, the first with the stride."""
    layers = [block(inputs, planes, stride)]
    layers += [block(planes * block.expansion, planes) for _ in range(blocks - 1)]
    return nn.Sequential(*layers)


class CifarResNet(nn.Module):
    """ResNet of depth 6n + 2 for 32 x 32 images (`width` 16); the authors' WRN-16-4 with `width` 64."""

    def __init__(self, depth, classes=10, width=16):
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.layer1 = stage(BasicBlock, width, width, blocks, 1)
        self.layer2 = stage(BasicBlock, width, 2 * width, blocks, 2)
        self.layer3 = stage(BasicBlock, 2 * width, 4 * width, blocks, 2)
        self.avgpool = nn.AvgPool2d(8)
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


class ImageNetResNet(nn.Module):
    """torchvision's resnet18, 34 (basic blocks), 50, 101 and 152 (bottlenecks)."""

    def __init__(self, block, blocks, classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = stage(block, 64, 64, blocks[0], 1)
        self.layer2 = stage(block, 64 * block.expansion, 128, blocks[1], 2)
        self.layer3 = stage(block, 128 * block.expansion, 256, blocks[2], 2)
        self.layer4 = stage(block, 256 * block.expansion, 512, blocks[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * block.expansion, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


class AlexNet(nn.Module):
    """The authors' AlexNet "one weird trick" with batch norm, 224 x 224 images."""

    def __init__(self, classes=1000):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2, bias=False),
            nn.MaxPool2d(3, 2),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, 192, 5, padding=2, bias=False),
            nn.MaxPool2d(3, 2),
            nn.ReLU(),
            nn.BatchNorm2d(192),
            nn.Conv2d(192, 384, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.BatchNorm2d(384),
            nn.Conv2d(384, 256, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.BatchNorm2d(256),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            nn.MaxPool2d(3, 2),
            nn.ReLU(),
            nn.BatchNorm2d(256),
        )
        self.classifier = nn.Sequential(
            nn.Linear(256 * 6 * 6, 4096, bias=False),
            nn.BatchNorm1d(4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096, bias=False),
            nn.BatchNorm1d(4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, classes),
        )

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def by_name(name, classes):
    """The full-size network of that name."""
    if name in ("resnet8", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"):
        return CifarResNet(int(name.removeprefix("resnet")), classes)
    return {
        "f1": lambda: F1(classes),
        "c1": lambda: C1(classes),
        "c3": lambda: C1(classes),
        "c2": lambda: C2(classes),
        "c4": lambda: C2(classes),
        "wrn-16-4": lambda: CifarResNet(16, classes, width=64),
        "alexnet": lambda: AlexNet(classes),
        "resnet18": lambda: ImageNetResNet(BasicBlock, (2, 2, 2, 2), classes),
        "resnet34": lambda: ImageNetResNet(BasicBlock, (3, 4, 6, 3), classes),
        "resnet50": lambda: ImageNetResNet(Bottleneck, (3, 4, 6, 3), classes),
        "resnet101": lambda: ImageNetResNet(Bottleneck, (3, 4, 23, 3), classes),
        "resnet152": lambda: ImageNetResNet(Bottleneck, (3, 8, 36, 3), classes),
    }[name]()
