"""Digits beside PyTorch and scikit-learn, on the same rows:

    torch_digits.py FOLDER_OF_PROGRAMS [SPLITS [SEEDS]]      held-out accuracy
    torch_digits.py FOLDER_OF_PROGRAMS time                  milliseconds per epoch, all in turns, on one thread

64-32-32-10 with ReLU and, but for scikit-learn, BatchNormalization; pixels / 16, 20 epochs, 360 rows held out; for
each split several first weights. Also trained folded, in int8, and quantised after training. Needs python3-torch and
python3-sklearn.
"""

import collections
import csv
import gzip
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

os.environ |= dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "1")
import numpy as np  # noqa: E402
import sklearn  # noqa: E402
import torch  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402
from torch import nn  # noqa: E402

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "models/data/digits.csv.gz"
ARGUMENTS = ["--target", "digit", "--scale", "factor:0.0625", "--validation", "0", "--holdout", "360", "-q", "--progress", "0"]
WAYS = {"bntrain": [], "bntrain --recipe keras": ["--recipe", "keras"], "bntrain --fold-training": ["--fold-training"],
        "bntrain --qat int8": ["--qat", "int8"]}
EPOCHS = 20


class Torch:
    """Adam at 1e-3 and batches of 32; or, `like_ours`, what bntrain chooses for these rows, but for the freezing."""

    def __init__(self, rows, labels, seed, like_ours=False):
        torch.manual_seed(seed)
        self.rows, self.labels, self.loss = torch.from_numpy(rows), torch.from_numpy(labels), nn.CrossEntropyLoss()
        self.model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.BatchNorm1d(32),
                                   nn.ReLU(), nn.Linear(32, 10))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.schedule = None
        if like_ours:
            weights = sum(p.numel() for p in self.model.parameters())
            self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01, weight_decay=min(0.75, 0.15 * weights / len(rows)))
            self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, EPOCHS * (len(rows) + 31) // 32)

    def epoch(self):
        for batch in torch.randperm(len(self.rows)).split(32):
            self.optimizer.zero_grad()
            self.loss(self.model(self.rows[batch]), self.labels[batch]).backward()
            self.optimizer.step()
            if self.schedule:
                self.schedule.step()

    def accuracy(self, rows, labels):
        self.model.eval()
        with torch.no_grad():
            return (self.model(torch.from_numpy(rows)).argmax(1).numpy() == labels).mean()


def train_torch(data, seed, like_ours=False):
    network = Torch(*data[:2], seed, like_ours)
    for _ in range(EPOCHS):
        network.epoch()
    return network.accuracy(*data[2:])


def sklearn_network(seed, epochs):
    return MLPClassifier((32, 32), batch_size=32, max_iter=epochs, random_state=seed, n_iter_no_change=EPOCHS)


def read(file):
    return [tuple(line) for line in csv.reader(file)][1:]


def as_data(lines, held):
    """Rows and labels to learn from, then those held out."""
    parts = []
    for rows in (list((collections.Counter(lines) - collections.Counter(held)).elements()), held):
        numbers = np.array(rows, dtype=np.float32)
        parts += [numbers[:, :-1] / 16, numbers[:, -1].astype(np.int64)]
    return parts


def fit(programs, folder, split, seed, *options):
    """What bntrain says of the rows held out, which are in held.csv then."""
    said = subprocess.run([programs / "bntrain", "fit", DIGITS, "-o", folder / "m.onnx", *ARGUMENTS, "--holdout-seed", str(split),
                           "--holdout-out", folder / "held.csv", "--seed", str(seed), *options], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return float(said.split("held-out   accuracy ")[1].split()[0])


def accuracies(programs, folder, lines, splits, seeds):
    scores = collections.defaultdict(list)
    for split in range(1, splits + 1):
        for seed in range(1, seeds + 1):
            for way, options in WAYS.items():
                scores[way].append(fit(programs, folder, split, seed, *options))
            with open(folder / "held.csv") as file:
                data = as_data(lines, read(file))
            scores["PyTorch " + torch.__version__].append(train_torch(data, seed))
            scores["PyTorch, rate and decay as bntrain"].append(train_torch(data, seed, like_ours=True))
            scores["scikit-learn " + sklearn.__version__].append(sklearn_network(seed, EPOCHS).fit(*data[:2]).score(*data[2:]))
    print(f"{splits} splits x {seeds} seeds: median (lowest to highest) held-out accuracy, mean")
    for way, values in scores.items():
        print(f"{way:<36} {statistics.median(values):.4f} ({min(values):.4f} to {max(values):.4f})  {statistics.mean(values):.4f}")


def times(programs, folder, lines, rounds=8):
    fit(programs, folder, 1, 1)
    with open(folder / "held.csv") as file:
        data = as_data(lines, read(file))
    network, seconds = Torch(*data[:2], 1), collections.defaultdict(list)
    for round in range(rounds):
        for way, options in WAYS.items():
            fit(programs, folder, 1, round, "--history", folder / "h.csv", *options)
            with open(folder / "h.csv") as file:
                seconds[way] += [float(row["seconds"]) for row in csv.DictReader(file)]
        for _ in range(4):
            started = time.perf_counter()
            network.epoch()
            seconds["PyTorch " + torch.__version__].append(time.perf_counter() - started)
        started = time.perf_counter()
        sklearn_network(round, 4).fit(*data[:2])
        seconds["scikit-learn " + sklearn.__version__].append((time.perf_counter() - started) / 4)
    print("ms per epoch: median, least")
    for way, values in seconds.items():
        print(f"{way:<36} {1e3 * statistics.median(values):6.2f} {1e3 * min(values):6.2f}")


def main(programs, *numbers):
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # that twenty epochs do not converge
    with gzip.open(DIGITS, "rt") as file:
        lines = read(file)
    with tempfile.TemporaryDirectory() as folder:
        if numbers == ("time",):
            times(programs, pathlib.Path(folder), lines)
        else:
            accuracies(programs, pathlib.Path(folder), lines, *(map(int, numbers) if numbers else (10, 10)))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
