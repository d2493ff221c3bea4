#!/usr/bin/env python3
"""Writes convolutional networks with random weights and statistics as .onnx files, to compare engines on.

usage: convolutional.py FOLDER [NAME...] | --list     needs python3-torch and python3-torchvision (Debian 12's will do)

run_images measures all of them. Or, with ONNX Runtime beside it (tests/peers/setup), ort_compare tells whether both agree, and ort_bench which is
faster, where bnfold has written X.folded.onnx beside each X.onnx:
    ort_compare agree FOLDER/X.onnx --atol 1e-3
    ort_bench FOLDER/X.onnx -b 1 -t 1
"""
import pathlib
import sys

import torch
import torchvision
from torch import nn


def keyword_spotter():
    """Depthwise separable blocks over 49 frames of 10 features, as in Zhang et al., Hello Edge (2017)."""
    def block(stride):
        return [nn.Conv2d(64, 64, 3, stride, 1, groups=64, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
                nn.Conv2d(64, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    return nn.Sequential(nn.Conv2d(1, 64, (10, 4), 2, (5, 1), bias=False), nn.BatchNorm2d(64), nn.ReLU(),
                         *block(1), *block(1), *block(1), *block(1),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 12))


def generator():
    """Radford et al., DCGAN (2016), narrow: 32x32 pictures of 64 numbers."""
    def rise(c, m, stride, pad):
        return [nn.ConvTranspose2d(c, m, 4, stride, pad, bias=False), nn.BatchNorm2d(m), nn.ReLU()]
    return nn.Sequential(*rise(64, 128, 1, 0), *rise(128, 64, 2, 1), *rise(64, 32, 2, 1),
                         nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh())


class UNet(nn.Module):
    """Ronneberger et al., U-Net (2015), with BatchNormalization, two levels down and up again."""

    def __init__(self, width=16):
        super().__init__()
        def double(c, m):
            return nn.Sequential(nn.Conv2d(c, m, 3, 1, 1, bias=False), nn.BatchNorm2d(m), nn.ReLU(),
                                 nn.Conv2d(m, m, 3, 1, 1, bias=False), nn.BatchNorm2d(m), nn.ReLU())
        self.down = nn.ModuleList([double(3, width), double(width, 2 * width), double(2 * width, 4 * width)])
        self.rise = nn.ModuleList([nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2)])
        self.up = nn.ModuleList([double(6 * width, 2 * width), double(3 * width, width)])
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Conv2d(width, 2, 1)

    def forward(self, x):
        a = self.down[0](x)
        b = self.down[1](self.pool(a))
        y = self.down[2](self.pool(b))
        y = self.up[0](torch.cat([self.rise[0](y), b], 1))
        return self.last(self.up[1](torch.cat([self.rise[1](y), a], 1)))


class Scores(nn.Module):
    """Long et al., Fully Convolutional Networks (2015), on a dilated ResNet-50: the scores of every pixel."""

    def __init__(self):
        super().__init__()
        self.network = torchvision.models.segmentation.fcn_resnet50(weights=None, weights_backbone=None)

    def forward(self, x):
        return self.network(x)["out"]


def vision(name, size, **options):
    return lambda: getattr(torchvision.models, name)(weights=None, **options), (3, size, size)


# name: what makes it, the shape of one image
NETWORKS = {
    "resnet18_96": vision("resnet18", 96),
    "resnet18": vision("resnet18", 224),
    "resnet50": vision("resnet50", 224),
    "mobilenet_v2_96": vision("mobilenet_v2", 96),
    "mobilenet_v2": vision("mobilenet_v2", 224),
    "mobilenet_v3_small": vision("mobilenet_v3_small", 96),
    "efficientnet_b0": vision("efficientnet_b0", 96),
    "densenet121": vision("densenet121", 96),
    "inception_v3": vision("inception_v3", 96, init_weights=False, aux_logits=False),
    "googlenet": vision("googlenet", 96, init_weights=False, aux_logits=False),
    "resnext50": vision("resnext50_32x4d", 96),
    "regnet_y": vision("regnet_y_400mf", 96),
    "shufflenet_v2": vision("shufflenet_v2_x1_0", 96),
    "squeezenet": vision("squeezenet1_1", 96),
    "vgg11": vision("vgg11_bn", 224),
    "convnext_tiny": vision("convnext_tiny", 96),
    "fcn_resnet50": (Scores, (3, 64, 64)),
    "r3d_18": (lambda: torchvision.models.video.r3d_18(weights=None), (3, 8, 56, 56)),
    "unet": (UNet, (3, 64, 64)),
    "keyword_spotter": (keyword_spotter, (1, 49, 10)),
    "dcgan": (generator, (64, 1, 1)),
}


def randomise(model):
    """Statistics as of a trained network, so that no layer is folded into nothing."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)


def main(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or NETWORKS:
        make, shape = NETWORKS[name]
        torch.manual_seed(1)
        model = make().eval()
        with torch.no_grad():
            randomise(model)
        # TRAINING keeps the BatchNormalizations, which are what this is about; the model is in evaluation mode.
        torch.onnx.export(model, torch.zeros(1, *shape), str(folder / f"{name}.onnx"), opset_version=14,
                          input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "N"}, "y": {0: "N"}},
                          training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
        print(name, flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print("\n".join(NETWORKS))
        sys.exit()
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
