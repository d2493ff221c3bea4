"""The idioms of gallery/routes.py and gallery/takers.py, and more, as torch itself exports them. Needs torch and onnx."""

import dataclasses
import json
import math
import warnings

import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F

ROWS = 3


@dataclasses.dataclass
class Idiom:
    module: nn.Module
    shape: tuple  # of one row
    gone: tuple = ()  # operators that the folded model must not have, besides BatchNormalization
    opset: int = 13
    runs: bool = True  # False: an operator that no engine knows
    left: tuple = ()  # reasons of what is declined


class Apply(nn.Module):
    """Layers in a row; the functions among them are idioms."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = parts
        self.layers = nn.ModuleList(part for part in parts if isinstance(part, nn.Module))

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return x


class Branches(nn.Module):
    """`join` of the results of several branches."""

    def __init__(self, join, *branches):
        super().__init__()
        self.join, self.branches = join, nn.ModuleList(branches)

    def forward(self, x):
        return self.join(*(branch(x) for branch in self.branches))


class Odd(torch.autograd.Function):
    """An operator of somebody's own."""

    @staticmethod
    def symbolic(g, x):
        return g.op("custom::Odd", x)

    @staticmethod
    def forward(ctx, x):
        return x.abs()


class QuantisedConv(nn.Module):
    """Weights in steps of int8, one size of step for each output, as quantisation-aware training exports them."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)
        with torch.no_grad():
            self.register_buffer("scale", self.conv.weight.abs().amax(dim=(1, 2, 3)) / 127)
        self.register_buffer("zero", torch.zeros(outputs, dtype=torch.int32))

    def forward(self, x):
        W = self.conv.weight
        if W.dtype == torch.float64:  # fake_quantize computes in float32 alone
            scale = self.scale.view(-1, 1, 1, 1)
            W = torch.clamp(torch.round(W.float() / scale.float()), -128, 127).double() * scale
        else:
            W = torch.fake_quantize_per_channel_affine(W, self.scale, self.zero, 0, -128, 127)
        return F.conv2d(x, W, self.conv.bias)


def conv(inputs=3, outputs=4, kernel=3, **more):
    return nn.Conv2d(inputs, outputs, kernel, **more)


def between(idiom, channels=4, tail=torch.tanh, head=None):
    """A map behind a layer, with something in between."""
    return Apply(head or conv(), idiom, nn.BatchNorm2d(channels), tail)


def gate(x, layer):
    return x * torch.sigmoid(layer(x.mean(dim=(2, 3), keepdim=True)))


class SqueezeAndExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.project = conv(), conv(4, 4, 1), conv(4, 5, 1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.BatchNorm2d(5)])

    def forward(self, x):
        h = F.silu(self.norms[0](self.conv(x)))
        return torch.tanh(self.norms[2](self.project(self.norms[1](gate(h, self.fc)))))


class Attention(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        scores = self.q(h) @ self.k(h).transpose(1, 2) / math.sqrt(8)
        return x + self.out(torch.softmax(scores, dim=-1) @ self.v(h))


class Einsum(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.W, self.bn = nn.Parameter(torch.randn(width, width)), nn.BatchNorm1d(width)

    def forward(self, x):
        return self.bn(torch.einsum("bk,kn->bn", x, self.W))


class Chunks(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bns = conv(3, 8), nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])

    def forward(self, x):
        parts = torch.chunk(self.conv(x), 2, dim=1)
        return torch.cat([torch.tanh(bn(part)) for bn, part in zip(self.bns, parts)], dim=1)


class Chosen(nn.Module):
    """Where, of two branches."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.bn = conv(), conv(), nn.BatchNorm2d(4)

    def forward(self, x):
        return torch.tanh(self.bn(torch.where(x[:, :1, 1:-1, 1:-1] > 0, self.a(x), self.b(x))))


def do_nothing(x):
    x = F.pad(x[:, :], (0, 0, 0, 0)).repeat(1, 1, 1, 1).permute(0, 1, 2, 3)
    return F.interpolate(torch.cat([x], dim=1), scale_factor=1.0, mode="nearest").expand(-1, -1, -1, -1)


def flatten(x):
    return x.view(x.size(0), -1)


IMAGE = (3, 8, 8)
VIEW_OF_CONV = 4 * 6 * 6
IDLE = ("Pad", "Tile", "Expand", "Resize", "Transpose", "Slice", "Concat")

IDIOMS = {
    "view": lambda: Idiom(Apply(conv(), nn.BatchNorm2d(4), flatten, nn.Linear(VIEW_OF_CONV, 5)), IMAGE),
    "flatten": lambda: Idiom(Apply(conv(), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(VIEW_OF_CONV, 5)), IMAGE),
    "layer_norm": lambda: Idiom(Apply(nn.LayerNorm(8), nn.Linear(8, 6)), (5, 8)),
    "layer_norm_17": lambda: Idiom(Apply(nn.LayerNorm(8), nn.Linear(8, 6)), (5, 8), opset=17),
    "do_nothing": lambda: Idiom(between(do_nothing), IMAGE, gone=IDLE),
    "dropout": lambda: Idiom(between(nn.Dropout(0.5)), IMAGE, gone=("Dropout",)),
    "average_pool": lambda: Idiom(between(nn.AvgPool2d(2)), IMAGE, gone=("Pad",)),
    "custom_operator": lambda: Idiom(Apply(Odd.apply, nn.Linear(8, 6), nn.BatchNorm1d(6), torch.tanh), (8,), runs=False),
    "upsample": lambda: Idiom(between(nn.Upsample(scale_factor=2)), IMAGE),
    "upsample_bilinear": lambda: Idiom(between(nn.Upsample(scale_factor=2, mode="bilinear")), IMAGE),
    "upsample_bicubic": lambda: Idiom(between(nn.Upsample(scale_factor=2, mode="bicubic")), IMAGE),
    "chunks": lambda: Idiom(Chunks(), IMAGE),
    "flip": lambda: Idiom(between(lambda x: torch.flip(x, [3])), IMAGE),
    "channels_in_another_order": lambda: Idiom(
        between(lambda x: torch.index_select(x, 1, torch.tensor([2, 0, 3, 1]))), IMAGE),
    "channel_shuffle": lambda: Idiom(
        between(lambda x: x.view(x.size(0), 2, 2, 6, 6).transpose(1, 2).reshape(x.size(0), 4, 6, 6)), IMAGE,
        left=("axis_unproven",)),
    "reflection_pad": lambda: Idiom(between(nn.ReflectionPad2d(2)), IMAGE),
    "replication_pad": lambda: Idiom(between(nn.ReplicationPad2d(2)), IMAGE),
    "zero_pad": lambda: Idiom(Apply(conv(), nn.ZeroPad2d(1), nn.BatchNorm2d(4), torch.tanh), IMAGE),
    "maximum": lambda: Idiom(Apply(conv(), lambda x: torch.amax(x, dim=(2, 3)), Positive(4), torch.tanh), IMAGE),
    "sum": lambda: Idiom(Apply(conv(), lambda x: x.sum(dim=(2, 3)), nn.BatchNorm1d(4), torch.tanh), IMAGE),
    "mean": lambda: Idiom(Apply(conv(), lambda x: x.mean(dim=(2, 3)), nn.BatchNorm1d(4), torch.tanh), IMAGE),
    "adaptive_pool": lambda: Idiom(between(nn.AdaptiveAvgPool2d(1)), IMAGE),
    "pixel_shuffle": lambda: Idiom(between(nn.PixelShuffle(2), 1), IMAGE),
    "pixel_unshuffle": lambda: Idiom(
        Apply(torch.sigmoid, nn.BatchNorm2d(3), nn.PixelUnshuffle(2), conv(12, 4, 1)), IMAGE),
    "repeat": lambda: Idiom(between(lambda x: x.repeat(1, 1, 2, 3)), IMAGE),
    "where": lambda: Idiom(Chosen(), IMAGE),
    "concatenation": lambda: Idiom(
        Apply(Branches(lambda a, b: torch.cat([a, b], 1), conv(), conv(3, 2)), nn.BatchNorm2d(6), torch.tanh), IMAGE),
    "residual": lambda: Idiom(Apply(Branches(torch.add, conv(), conv()), nn.BatchNorm2d(4), torch.tanh), IMAGE),
    "squeeze_and_excite": lambda: Idiom(SqueezeAndExcite(), IMAGE),
    "pre_activation": lambda: Idiom(Apply(torch.sigmoid, nn.BatchNorm2d(3), conv(padding=1)), IMAGE),
    "einsum": lambda: Idiom(Einsum(), (8,)),
    "attention": lambda: Idiom(Attention(), (5, 8)),
    "group_norm": lambda: Idiom(Apply(nn.GroupNorm(2, 4), conv(4, 5, 1)), (4, 6, 6)),
    "instance_norm": lambda: Idiom(Apply(nn.InstanceNorm2d(4, affine=True), conv(4, 5, 1)), (4, 6, 6)),
    "transposed_convolution": lambda: Idiom(Apply(nn.ConvTranspose2d(3, 4, 3), nn.BatchNorm2d(4), torch.tanh), IMAGE),
    "integer_weights": lambda: Idiom(Apply(QuantisedConv(3, 4), nn.BatchNorm2d(4), torch.tanh), IMAGE),
    "linear_and_norm": lambda: Idiom(Apply(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2)), (8,)),
    "sequence_norm": lambda: Idiom(Apply(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), torch.tanh), (4, 9)),
    "image_statistics": lambda: Idiom(Apply(lambda x: (x - 0.45) / 0.225, conv()), IMAGE),
}


class Positive(nn.BatchNorm1d):
    """Scales above 0, which a maximum lets pass."""


def draw(module, generator):
    """Statistics and scales as training leaves them, of both signs."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_mean.uniform_(-0.5, 0.5, generator=generator)
            layer.running_var.uniform_(0.5, 2.0, generator=generator)
        if getattr(layer, "weight", None) is not None and layer.weight.dim() == 1:
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            if not isinstance(layer, Positive):
                layer.weight.data[1:2] *= -1
            layer.bias.data.uniform_(-0.5, 0.5, generator=generator)


def write(folder, name):
    """Writes the model and a data set whose output torch computes in double. Returns what is expected."""
    torch.manual_seed(len(name))
    generator = torch.Generator().manual_seed(5)
    idiom = IDIOMS[name]()
    draw(idiom.module, generator)
    module = idiom.module.eval()
    x = torch.randn(ROWS, *idiom.shape, generator=generator)
    data = folder / name / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, x, str(folder / name / "model.onnx"), opset_version=idiom.opset, input_names=["x"],
                          output_names=["y"], dynamic_axes={"x": {0: "N"}}, do_constant_folding=False,
                          training=torch.onnx.TrainingMode.PRESERVE,
                          custom_opsets=None if idiom.runs else {"custom": 1})
        module.double()
        y = module(x.double()).float()
        # Near 0, terms that cancel leave float32 fewer digits than are compared: another x then.
        for _ in range(100):
            if not ((y != 0) & (y.abs() < 1e-3)).any():
                break
            x = torch.randn(x.shape, generator=generator)
            y = module(x.double()).float()
    for kind, tensor in (("input", x), ("output", y)):
        (data / f"{kind}_0.pb").write_bytes(numpy_helper.from_array(tensor.numpy(), "xy"[kind == "output"]).SerializeToString())
    return {"gone": ["BatchNormalization", *idiom.gone], "runs": idiom.runs, "left": list(idiom.left)}


def write_all(folder):
    expectations = {"models": {name: write(folder, name) for name in IDIOMS}}
    for name in IDIOMS:
        onnx.load(str(folder / name / "model.onnx"))
    (folder / "expectations.json").write_text(json.dumps(expectations, indent=2) + "\n")
