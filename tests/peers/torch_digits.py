"""Held-out accuracy on digits beside PyTorch's, on the same rows: torch_digits.py FOLDER_OF_PROGRAMS [SPLITS [SEEDS]]

64-32-32-10 with BatchNormalization and ReLU, pixels / 16, Adam 1e-3, batch 32, 20 epochs, 360 rows held out; for each
split several first weights. Also trained folded, and in int8. Needs python3-torch.
"""

import collections
import csv
import gzip
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from torch import nn

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "models/data/digits.csv.gz"
ARGUMENTS = ["--target", "digit", "--scale", "factor:0.0625", "--validation", "0", "--holdout", "360", "-q"]
WAYS = {"bntrain": [], "bntrain, first weights x 0.3": ["--initial-scale", "0.3"],
        "bntrain --fold-training": ["--fold-training", "--initial-scale", "0.3"],
        "bntrain --qat int8": ["--qat", "int8", "--freeze-bn", "15", "--initial-scale", "0.3"]}


def train_torch(rows, labels, held_out, truth, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.BatchNorm1d(32),
                          nn.ReLU(), nn.Linear(32, 10))
    optimizer, loss = torch.optim.Adam(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()
    started = time.monotonic()
    for _ in range(20):
        for batch in torch.randperm(len(rows)).split(32):
            optimizer.zero_grad()
            loss(model(rows[batch]), labels[batch]).backward()
            optimizer.step()
    seconds = (time.monotonic() - started) / 20
    model.eval()
    with torch.no_grad():
        return (model(held_out).argmax(1) == truth).float().mean().item(), seconds


def main(programs, splits=10, seeds=10):
    torch.set_num_threads(1)
    with gzip.open(DIGITS, "rt") as file:
        lines = [tuple(line) for line in csv.reader(file)][1:]
    scores, seconds = collections.defaultdict(list), collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for split in range(1, splits + 1):
            for seed in range(1, seeds + 1):
                for way, options in WAYS.items():
                    said = subprocess.run(
                        [programs / "bntrain", "fit", DIGITS, "-o", folder / "m.onnx", *ARGUMENTS, "--holdout-seed",
                         str(split), "--holdout-out", folder / "held.csv", "--seed", str(seed), "--history",
                         folder / "h.csv", *options], check=True, stdout=subprocess.PIPE, text=True).stdout
                    scores[way].append(float(said.split("held-out   accuracy ")[1].split()[0]))
                    with open(folder / "h.csv") as file:
                        seconds[way] += [float(row["seconds"]) for row in csv.DictReader(file)]
                with open(folder / "held.csv") as file:
                    held = [tuple(line) for line in csv.reader(file)][1:]
                left = list((collections.Counter(lines) - collections.Counter(held)).elements())
                parts = []
                for rows in (left, held):
                    numbers = np.array(rows, dtype=np.float32)
                    parts += [torch.from_numpy(numbers[:, :-1] / 16), torch.from_numpy(numbers[:, -1].astype(np.int64))]
                accuracy, taken = train_torch(*parts, seed)
                scores["PyTorch " + torch.__version__].append(accuracy)
                seconds["PyTorch " + torch.__version__].append(taken)
    print(f"{splits} splits x {seeds} seeds: median (lowest to highest) accuracy, ms per epoch")
    for way, values in scores.items():
        print(f"{way:<28} {statistics.median(values):.4f} ({min(values):.4f} to {max(values):.4f})  "
              f"{1e3 * statistics.median(seconds[way]):.2f}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:]))
