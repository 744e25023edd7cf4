"""The networks of the zoo in PyTorch, with the zoo's parameter names. The other scripts in this folder use them.

`CASES` is the step table, as in `src/testing/step_cases.rs`: name -> (model on receptive's command line, constructor,
shape of the images).
"""
import torch, torch.nn as nn, torch.nn.functional as F


class Mlp2(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(784, 50), nn.Linear(50, 10)

    def forward(self, x):
        return F.log_softmax(self.linear2(self.linear1(x.flatten(1))), 1)


class Mlp(nn.Module):
    def __init__(self, features=784):
        super().__init__()
        sizes = [features, 512, 256, 128, 64, 10]
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.linears[:-1]:
            x = F.relu(layer(x))
        return F.log_softmax(self.linears[-1](x), 1)


class LeNet5(nn.Module):
    def __init__(self, channels=1, features=400):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(features, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return F.log_softmax(self.fc3(F.relu(self.fc2(F.relu(self.fc1(x))))), 1)


class MiniVgg(nn.Module):
    def __init__(self, channels=1, features=800):
        super().__init__()
        self.conv11, self.conv12 = nn.Conv2d(channels, 16, 3), nn.Conv2d(16, 16, 3)
        self.conv21, self.conv22 = nn.Conv2d(16, 32, 3), nn.Conv2d(32, 32, 3, padding=1)
        self.fc1, self.fc2, self.fc3 = nn.Linear(features, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv12(F.relu(self.conv11(x)))), 2)
        x = F.max_pool2d(F.relu(self.conv22(F.relu(self.conv21(x)))), 2).flatten(1)
        return F.log_softmax(self.fc3(F.relu(self.fc2(F.relu(self.fc1(x))))), 1)


class LeNet5Tanh(nn.Module):
    def __init__(self, channels=1, features=400, padding=2):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=padding), nn.Tanh(), nn.AvgPool2d(2), nn.Tanh(),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Tanh(), nn.Flatten(),
            nn.Linear(features, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))

    def forward(self, x):
        return self.layers(x)


class LeNet5Bn(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6), nn.Sigmoid(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(256, 120), nn.BatchNorm1d(120), nn.Sigmoid(),
            nn.Linear(120, 84), nn.BatchNorm1d(84), nn.Sigmoid(), nn.Linear(84, 10))


class Basic(nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        conv3x3 = lambda a, b, stride: nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.conv1, self.bn1 = conv3x3(a, b, stride), nn.BatchNorm2d(b)
        self.conv2, self.bn2 = conv3x3(b, b, 1), nn.BatchNorm2d(b)
        self.downsample = nn.Sequential(conv3x3(a, b, stride), nn.BatchNorm2d(b)) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class ResNetCifar(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        stage = lambda a, b, stride: nn.Sequential(Basic(a, b, stride), Basic(b, b, 1))
        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn(self.conv(x))))))
        return F.log_softmax(self.fc(F.avg_pool2d(x, 8).flatten(1)), 1)


class Residual(nn.Module):
    """The residual block of the course book."""
    def __init__(self, a, b, stride=1):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(a, b, 3, stride, 1), nn.Conv2d(b, b, 3, 1, 1)
        self.conv3 = nn.Conv2d(a, b, 1, stride) if a != b else None
        self.bn1, self.bn2 = nn.BatchNorm2d(b), nn.BatchNorm2d(b)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.conv3(x) if self.conv3 else x))


class ResNet18(nn.Sequential):
    def __init__(self, channels=1):
        stage = lambda a, b, stride: nn.Sequential(Residual(a, b, stride), Residual(b, b))
        super().__init__(
            nn.Sequential(nn.Conv2d(channels, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
            stage(64, 64, 1), stage(64, 128, 2), stage(128, 256, 2), stage(256, 512, 2),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class Inception(nn.Module):
    def __init__(self, a, c1, c2, c3, c4):
        super().__init__()
        self.p1_1 = nn.Conv2d(a, c1, 1)
        self.p2_1, self.p2_2 = nn.Conv2d(a, c2[0], 1), nn.Conv2d(c2[0], c2[1], 3, padding=1)
        self.p3_1, self.p3_2 = nn.Conv2d(a, c3[0], 1), nn.Conv2d(c3[0], c3[1], 5, padding=2)
        self.p4_2 = nn.Conv2d(a, c4, 1)

    def forward(self, x):
        p2, p3 = F.relu(self.p2_2(F.relu(self.p2_1(x)))), F.relu(self.p3_2(F.relu(self.p3_1(x))))
        return torch.cat([F.relu(self.p1_1(x)), p2, p3, F.relu(self.p4_2(F.max_pool2d(x, 3, 1, 1)))], 1)


class GoogLeNet(nn.Sequential):
    def __init__(self, channels=3):
        pool = lambda: nn.MaxPool2d(3, 2, 1)
        super().__init__(
            nn.Sequential(nn.Conv2d(channels, 64, 7, 2, 3), nn.ReLU(), pool()),
            nn.Sequential(nn.Conv2d(64, 64, 1), nn.ReLU(), nn.Conv2d(64, 192, 3, padding=1), nn.ReLU(), pool()),
            nn.Sequential(Inception(192, 64, (96, 128), (16, 32), 32), Inception(256, 128, (128, 192), (32, 96), 64), pool()),
            nn.Sequential(Inception(480, 192, (96, 208), (16, 48), 64), Inception(512, 160, (112, 224), (24, 64), 64),
                          Inception(512, 128, (128, 256), (24, 64), 64), Inception(512, 112, (144, 288), (32, 64), 64),
                          Inception(528, 256, (160, 320), (32, 128), 128), pool()),
            nn.Sequential(Inception(832, 256, (160, 320), (32, 128), 128), Inception(832, 384, (192, 384), (48, 128), 128),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            nn.Linear(1024, 10))


class UNet(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        double = lambda a, b: nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Conv2d(b, b, 3, padding=1), nn.ReLU())
        w = [width << i for i in range(5)]
        self.enc1, self.enc2, self.enc3, self.enc4 = (double(a, b) for a, b in zip([3] + w, w[:4]))
        self.bottleneck = double(w[3], w[4])
        for i in range(4, 0, -1):
            setattr(self, f"upconv{i}", nn.ConvTranspose2d(w[i], w[i - 1], 2, 2))
            setattr(self, f"dec{i}", double(w[i], w[i - 1]))
        self.conv_final = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        aside = []
        for enc in (self.enc1, self.enc2, self.enc3, self.enc4):
            aside.append(enc(x))
            x = F.max_pool2d(aside[-1], 2)
        x = self.bottleneck(x)
        for i in range(4, 0, -1):
            x = getattr(self, f"dec{i}")(torch.cat([getattr(self, f"upconv{i}")(x), aside.pop()], 1))
        return self.conv_final(x)


def two_hidden(features):
    hidden = lambda a: [nn.Linear(a, 4096), nn.ReLU(), nn.Dropout(0.5)]
    return [nn.Flatten(), *hidden(features), *hidden(4096), nn.Linear(4096, 10)]


class AlexNet(nn.Sequential):
    def __init__(self):
        conv = lambda *args, **more: [nn.Conv2d(*args, **more), nn.ReLU()]
        pool = lambda: nn.MaxPool2d(3, 2)
        super().__init__(
            *conv(1, 96, 11, 4, 1), pool(), *conv(96, 256, 5, padding=2), pool(), *conv(256, 384, 3, padding=1),
            *conv(384, 384, 3, padding=1), *conv(384, 256, 3, padding=1), pool(), *two_hidden(6400))


class Vgg11(nn.Sequential):
    def __init__(self, width=64):
        layers, a = [], 1
        for convolutions, times in [(1, 1), (1, 2), (2, 4), (2, 8), (2, 8)]:
            for _ in range(convolutions):
                layers += [nn.Conv2d(a, width * times, 3, padding=1), nn.ReLU()]
                a = width * times
            layers.append(nn.MaxPool2d(2))
        super().__init__(*layers, *two_hidden(a * 49))


CASES = {
    "mlp5_mnist_b64": ("mlp", Mlp, (64, 1, 28, 28)),
    "lenet5_mnist_b64": ("lenet5", LeNet5, (64, 1, 28, 28)),
    "minivgg_mnist_b64": ("minivgg", MiniVgg, (64, 1, 28, 28)),
    "lenet5_cifar_b100": ("lenet5", lambda: LeNet5(3, 576), (100, 3, 32, 32)),
    "minivgg_cifar_b100": ("minivgg", lambda: MiniVgg(3, 1152), (100, 3, 32, 32)),
    "resnet_cifar_b100": ("resnet-cifar", ResNetCifar, (100, 3, 32, 32)),
    "alexnet_b16_224": ("alexnet", AlexNet, (16, 1, 224, 224)),
    "vgg11small_b16_224": ("vgg11-small", lambda: Vgg11(16), (16, 1, 224, 224)),
    "vgg11_b4_224": ("vgg11", Vgg11, (4, 1, 224, 224)),
    "resnet18_b32_96": ("resnet18", ResNet18, (32, 1, 96, 96)),
    "unet64_b4_128": ("unet", UNet, (4, 3, 128, 128)),
}
