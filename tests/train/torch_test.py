"""Losses, layers, optimisers and running statistics beside PyTorch's, over 50 steps from the same weights on the same
rows, in double: torch_test.py TRAIN_STEPS. Skipped where PyTorch is not installed (Debian: python3-torch)."""

import json
import subprocess
import sys
import unittest

try:
    import torch
    from torch import nn
except ImportError:
    torch = None

TRAIN_STEPS = sys.argv.pop()
ROWS, COLUMNS, OUTPUTS, STEPS, MOMENTUM = 32, 6, 3, 50, 0.9


def same_padding(extent, size, stride):
    """Before and behind, as Keras pads."""
    around = max(0, (-(-extent // stride) - 1) * stride + size - extent)
    return around // 2, around - around // 2


Module = torch.nn.Module if torch else object


class ChannelsFirst(Module):
    """Rows of an image of one channel."""

    def __init__(self, image):
        super().__init__()
        self.image = image

    def forward(self, x):
        return x.reshape(len(x), 1, *self.image)


class FlattenLast(Module):
    """Rows with channels last."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class Mean(Module):
    def forward(self, x):
        return x.mean((2, 3))


def windowed(name, words, channels, extents):
    """The modules of conv(...), maxpool(...) or avgpool(...), and how large the image is behind them."""
    size = int(words[1 if name == "conv" else 0])
    stride = next((int(w.split("=")[1]) for w in words if w.startswith("strides=")), 1 if name == "conv" else size)
    made = []
    if "same" in words:
        rows, columns = (same_padding(e, size, stride) for e in extents)
        made.append(nn.ConstantPad2d((*columns, *rows), 0.0 if name == "conv" else -torch.inf))
        extents = [-(-e // stride) for e in extents]
    else:
        extents = [(e - size) // stride + 1 for e in extents]
    made.append(nn.Conv2d(channels, int(words[0]), size, stride) if name == "conv" else
                nn.MaxPool2d(size, stride) if name == "maxpool" else nn.AvgPool2d(size, stride))
    return made, extents


def modules(layers, image):
    """The torch modules of "dense(8) bn relu dense", in double."""
    made, width, extents = [], COLUMNS, None
    if image:
        extents = [int(e) for e in image.split("x")]
        made, width = [ChannelsFirst(extents)], 1
    for layer in layers.split():
        name, _, inside = layer.rstrip(")").partition("(")
        if name in ("conv", "maxpool", "avgpool"):
            words = inside.split(",")
            more, extents = windowed(name, words, width, extents)
            made += more
            width = int(words[0]) if name == "conv" else width
        elif name == "flatten":
            made.append(FlattenLast())
            width, extents = width * extents[0] * extents[1], None
        elif name == "gap":
            made.append(Mean())
            extents = None
        elif name == "bn" and extents:
            made.append(nn.BatchNorm2d(width, eps=1e-3, momentum=1 - MOMENTUM))
        elif name == "dense":
            units = int(inside or OUTPUTS)
            made.append(nn.Linear(width, units))
            width = units
        elif name == "bn":
            made.append(nn.BatchNorm1d(width, eps=1e-3, momentum=1 - MOMENTUM))
        elif name == "ln":
            made.append(nn.LayerNorm(width, eps=1e-3))
        else:
            made.append({"relu": nn.ReLU(), "gelu": nn.GELU(), "elu": nn.ELU(), "selu": nn.SELU(), "tanh": nn.Tanh(),
                         "sigmoid": nn.Sigmoid(), "leaky_relu": nn.LeakyReLU(0.3)}[name])
    return nn.Sequential(*made).double()


def parameters(model):
    """In our order: kernels [inputs, units] or [height, width, channels, filters], then biases; scales, then shifts."""
    for module in model:
        for parameter in ([module.weight, module.bias] if hasattr(module, "weight") else []):
            yield parameter, isinstance(module, (nn.Linear, nn.Conv2d)) and parameter.dim() >= 2


def loss_function(name, weights):
    f = nn.functional
    return {"cross-entropy": lambda z, y, t: f.cross_entropy(z, y),
            "smoothed": lambda z, y, t: f.cross_entropy(z, y, label_smoothing=0.1),
            "weighted": lambda z, y, t: f.cross_entropy(z, y, weight=weights, reduction="none").mean(),
            "binary": lambda z, y, t: f.binary_cross_entropy_with_logits(z, t),
            "mse": lambda z, y, t: f.mse_loss(z, t),
            "mae": lambda z, y, t: f.l1_loss(z, t),
            "huber": lambda z, y, t: f.huber_loss(z, t, delta=0.7)}[name]


def optimizer(name, model):
    p = model.parameters()
    return {"sgd": lambda: torch.optim.SGD(p, lr=0.05, momentum=0.9),
            "nesterov": lambda: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
            "adam": lambda: torch.optim.Adam(p, lr=0.01, eps=1e-11),
            "adamw": lambda: torch.optim.AdamW(p, lr=0.01, eps=1e-11, weight_decay=0.1),
            "rmsprop": lambda: torch.optim.RMSprop(p, lr=0.001, alpha=0.95, eps=1e-7, momentum=0.5)}[name]()


NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d) if torch else ()


@unittest.skipUnless(torch, "PyTorch is not installed")
class Torch(unittest.TestCase):
    # Biases before a BatchNormalization have no gradient but rounding, which Adam blows up to whole steps; the
    # others of a network do not feel it, and these are compared through what comes out.
    def compare(self, layers, loss, name, image=""):
        arguments = [TRAIN_STEPS, layers, loss, name, *([image] if image else [])]
        ours = json.loads(subprocess.run(arguments, check=True, stdout=subprocess.PIPE).stdout)
        model = modules(layers, image)

        def to_torch(flat):
            tensors, at = [], 0
            for parameter, transposed in parameters(model):
                values = torch.tensor(flat[at:at + parameter.numel()], dtype=torch.double)
                at += parameter.numel()
                shape = parameter.shape
                if not transposed:
                    tensors.append(values.reshape(shape))
                elif len(shape) == 2:
                    tensors.append(values.reshape(shape[1], shape[0]).T)
                else:
                    tensors.append(values.reshape(*shape[2:], shape[1], shape[0]).permute(3, 2, 0, 1))
            self.assertEqual(at, len(flat))
            return tensors

        with torch.no_grad():
            for (parameter, _), first in zip(parameters(model), to_torch(ours["first"])):
                parameter.copy_(first)
        x = torch.tensor(ours["x"], dtype=torch.double).reshape(STEPS, ROWS, -1)
        targets = torch.tensor(ours["targets"], dtype=torch.double).reshape(STEPS, ROWS, OUTPUTS)
        labels = torch.tensor(ours["labels"]).reshape(STEPS, ROWS)
        function = loss_function(loss, torch.tensor([0.5, 2.0, 1.0], dtype=torch.double))
        steps = optimizer(name, model)
        for step in range(STEPS):
            steps.zero_grad()
            value = function(model(x[step]), labels[step], targets[step])
            self.assertAlmostEqual(value.item(), ours["losses"][step], delta=1e-5, msg=f"step {step + 1}")
            value.backward()
            steps.step()
        dead = {id(a.bias) for a, b in zip(model, list(model)[1:]) if isinstance(b, NORMALIZATIONS) and hasattr(a, "bias")}
        for (parameter, _), last in zip(parameters(model), to_torch(ours["last"])):
            if id(parameter) not in dead:
                self.assertLess((parameter - last).abs().max().item(), 1e-5)
        self.compare_statistics(model, ours["statistics"], x[0])

    def compare_statistics(self, model, flat, x):
        """PyTorch's running variance is of a sample, ours of the batch as a population."""
        at = 0
        for module in model:
            if isinstance(module, (nn.MaxPool2d, nn.Conv2d, nn.AvgPool2d, nn.ConstantPad2d, ChannelsFirst, FlattenLast, Mean)):
                x = module(x)
            if not isinstance(module, NORMALIZATIONS):
                continue
            width = module.num_features
            count = ROWS * (x.shape[2] * x.shape[3] if x.dim() == 4 else 1)
            mean, var = (torch.tensor(flat[at + i * width:at + (i + 1) * width], dtype=torch.double) for i in (0, 1))
            at += 2 * width
            left = MOMENTUM ** STEPS
            var = (var - left) * count / (count - 1) + left
            self.assertLess((module.running_mean - mean).abs().max().item(), 1e-5)
            self.assertLess((module.running_var - var).abs().max().item(), 1e-5)
        self.assertEqual(at, len(flat))

    def test_optimisers(self):
        for name in ["sgd", "nesterov", "adam", "adamw", "rmsprop"]:
            with self.subTest(name):
                self.compare("dense(8) ln tanh dense(8) tanh dense", "cross-entropy", name)

    def test_losses(self):
        for loss in ["cross-entropy", "smoothed", "weighted", "binary", "mse", "mae", "huber"]:
            with self.subTest(loss):
                self.compare("dense(8) bn tanh dense", loss, "sgd")

    def test_layers(self):
        for layers in ["dense(8) bn relu dense(8) bn relu dense", "bn dense(8) tanh bn dense", "dense(8) ln gelu dense",
                       "dense(8) elu dense(8) selu dense", "dense(8) leaky_relu dense(8) sigmoid dense", "dense"]:
            with self.subTest(layers):
                self.compare(layers, "cross-entropy", "sgd")

    def test_images(self):
        for layers in ["conv(4,3,same) bn relu maxpool(2) conv(5,2) bn relu flatten dense(8) bn relu dense",
                       "conv(3,3,same,strides=2) tanh avgpool(2) flatten dense", "conv(4,2,same) elu maxpool(3,strides=2,same) bn gap dense"]:
            with self.subTest(layers):
                self.compare(layers, "cross-entropy", "sgd", image="7x6")


if __name__ == "__main__":
    unittest.main()
