"""What ort_bench measured, as a table and a chart: report.py MEASURED.json FOLDER

Writes speed.md, speed.csv, speed.json (what was measured) and speed.svg into FOLDER, the worst cell first.
"""

import csv
import json
import math
import pathlib
import sys

from chart import chart

COLUMNS = [  # key, head, format
    ("model", "network", "{}"),
    ("rows", "rows", "{}"),
    ("threads", "threads", "{}"),
    ("bnrun", "bnrun", "{:.3g}"),
    ("ort", "ONNX Runtime", "{:.3g}"),
    ("ort_folded", "ONNX Runtime, folded", "{:.3g}"),
    ("faster", "times faster", "{:.2f}"),
    ("faster_folded", "than folded", "{:.2f}"),
    ("unfolded", "without folding", "{:.2f}"),
    ("gflops", "GFLOP/s", "{:.1f}"),
    ("of_limit", "of the limit", "{:.0%}"),
]


def worst_first(cell):
    times = cell["microseconds_per_row"]
    return times["ort_folded"] / times["bnrun"]


def cells_of(measured):
    """One flat dict a cell."""
    flops_of = {limit["threads"]: limit["flops"] for limit in measured["limits"]}
    cells = []
    for cell in measured["cells"]:
        times = cell["microseconds_per_row"]
        flops = 2e6 * cell["macs_per_row"] / times["bnrun"]
        one = flops_of.get(1)
        limit = cell["flops_of_one_thread"] * (flops_of[cell["threads"]] / one if one else cell["threads"])
        cells.append({
            "model": cell["model"], "rows": cell["rows"], "threads": cell["threads"],
            **{name: times[name] for name in ("bnrun", "ort", "ort_folded")},
            "faster": times["ort"] / times["bnrun"],
            "faster_folded": times["ort_folded"] / times["bnrun"],
            "unfolded": times["bnrun_unfolded"] / times["bnrun"],
            "gflops": flops / 1e9,
            "of_limit": flops / limit if limit else math.nan,
        })
    return cells


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def summary(cells):
    lines = []
    for key, rival in (("faster", "ONNX Runtime on the same model"), ("faster_folded", "ONNX Runtime on the model that bnfold wrote")):
        ratios = [cell[key] for cell in cells]
        slower = sum(ratio < 1 for ratio in ratios)
        lines.append(f"- Against {rival}: {geometric_mean(ratios):.2f} times faster (geometric mean of {len(ratios)} cells), "
                     f"{min(ratios):.2f} in the worst cell; slower in {slower}.")
    worst = max(cells, key=lambda cell: cell["unfolded"])
    lines.append(f"- Without folding bnrun takes {geometric_mean([cell['unfolded'] for cell in cells]):.2f} times as long, "
                 f"{worst['unfolded']:.2f} at worst ({worst['model']}, {worst['rows']} rows).")
    return lines


def markdown(measured, cells):
    machine = [f"{measured['processor']}, {measured['limits'][0]['vectors']}"]
    for limit in measured["limits"]:
        machine.append(f"{limit['threads']} thread{'s' * (limit['threads'] > 1)}: {limit['flops'] / 1e9:.0f} GFLOP/s, "
                       f"{limit['bytes_per_second'] / 1e9:.1f} GB/s read")
    lines = [
        "# Speed beside ONNX Runtime",
        "",
        "![How many times faster bnrun is, by network and rows](speed.svg)",
        "",
        "`tests/bench/run` writes this page. Both engines run in one process and take turns; medians, microseconds per row. ONNX Runtime has all",
        "optimisations, IoBinding between preallocated buffers and the same number of threads. \"Folded\" is its time on the model that",
        "bnfold wrote. \"Without folding\" is how many times as long bnrun takes with `--fold off`. The limit is what multiply-adds in registers",
        "reached in the same turns: a processor's clock changes with its load and with what else it does.",
        "",
        f"Measured on: {'; '.join(machine)}. bnrun {measured['bnrun']}, ONNX Runtime {measured['ort']}.",
    ]
    if measured["mode"] == "quick":
        lines += ["", "**Preliminary**: a quick run of a few short turns, which single cells may mislead; only a full one counts."]
    lines += ["", *summary(cells), "",
              "| " + " | ".join(head for _, head, _ in COLUMNS) + " |",
              "|---|" + "---:|" * (len(COLUMNS) - 1)]
    for cell in cells:
        lines.append("| " + " | ".join(style.format(cell[key]) for key, _, style in COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def main(source, folder):
    measured = json.loads(pathlib.Path(source).read_text())
    measured["cells"].sort(key=worst_first)
    cells = cells_of(measured)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.md").write_text(markdown(measured, cells))
    (folder / "speed.json").write_text(json.dumps(measured, indent=1) + "\n")
    with open(folder / "speed.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [key for key, _, _ in COLUMNS], lineterminator="\n")
        writer.writeheader()
        for cell in cells:
            writer.writerow({key: f"{value:.4g}" if isinstance(value, float) else value for key, value in cell.items()})
    (folder / "speed.svg").write_text(chart(cells))
    print("\n".join(summary(cells)))


if __name__ == "__main__":
    main(*sys.argv[1:])
