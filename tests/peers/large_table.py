"""Tables of many rows on which BatchNormalization costs accuracy at Keras's settings: large_table.py KIND > table.csv

200,000 rows of 50 normal columns and a class `y` that depends on them: linear (a sum and a product), pairs (five
products) or network (a small network). Train on it with `bntrain fit table.csv --target y -o m.onnx`, with --recipe
keras, --bn none, --freeze-bn 17, --batch 256 and so on; docs/training.md has what came out.
"""

import sys

import numpy as np

ROWS = 200_000


def classes(kind, x, draw):
    if kind == "linear":
        return x[:, :10].sum(1) + 2 * x[:, 10] * x[:, 11] > 0
    if kind == "pairs":
        return (x[:, 0:10:2] * x[:, 1:10:2]).sum(1) > 0
    s = x @ draw.normal(size=(50, 8)) / np.sqrt(50)
    return np.tanh(2 * s[:, 0]) * s[:, 1] + s[:, 2] * s[:, 3] + 0.5 * np.sin(3 * s[:, 4]) > 0


def main(kind):
    draw = np.random.default_rng(1)
    x = draw.normal(size=(ROWS, 50))
    y = classes(kind, x, draw)
    print(",".join([*(f"f{i}" for i in range(50)), "y"]))
    for row, label in zip(x, y):
        print(",".join(f"{value:.5g}" for value in row) + f",c{int(label)}")


if __name__ == "__main__":
    if sys.argv[1:] not in (["linear"], ["pairs"], ["network"]):
        sys.exit(__doc__)
    main(sys.argv[1])
