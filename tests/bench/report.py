"""What ort_bench measured, as tables and a chart: report.py MEASURED.json [LAYERS.json...] FOLDER

Writes speed.md, speed.csv, speed.json (what was measured) and speed.svg into FOLDER: the cells of networks, the worst
first, and those of single layers.
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
    ("than_one", "than one thread", "{:.2f}"),
    ("gflops", "GFLOP/s", "{:.1f}"),
    ("of_limit", "of the limit", "{:.0%}"),
]
LAYER_COLUMNS = [
    ("model", "layer", "{}"),
    ("rows", "rows", "{}"),
    ("threads", "threads", "{}"),
    ("microseconds", "bnrun", "{:.4g}"),
    ("ort_microseconds", "ONNX Runtime", "{:.4g}"),
    ("faster", "times faster", "{:.2f}"),
    ("than_float32", "than float32", "{:.2f}"),
    ("gflops", "GFLOP/s", "{:.0f}"),
    ("of_limit", "of the limit", "{:.0%}"),
]
MANY_ROWS = 256  # so many are worth sharing, whatever the network


def worst_first(cell):
    times = cell["microseconds_per_row"]
    return times["ort_folded"] / times["bnrun"]


def limit_of(cell, flops_of):
    """FLOP/s of all threads as multiply-adds reached them in the same turns; of weights that come from memory, as reading did."""
    if "bytes_per_second" in cell:
        return cell["bytes_per_second"] / 4 * 2  # of a float two operations
    one = flops_of.get(1)
    return cell["flops_of_one_thread"] * (flops_of[cell["threads"]] / one if one else cell["threads"])


def cells_of(measured):
    """One flat dict a cell."""
    flops_of = {limit["threads"]: limit["flops"] for limit in measured["limits"]}
    cells = []
    for cell in measured["cells"]:
        times = cell["microseconds_per_row"]
        flops = 2e6 * cell["macs_per_row"] / times["bnrun"]
        limit = limit_of(cell, flops_of)
        cells.append({
            "model": cell["model"], "rows": cell["rows"], "threads": cell["threads"],
            **{name: times[name] for name in ("bnrun", "ort", "ort_folded")},
            "faster": times["ort"] / times["bnrun"],
            "faster_folded": times["ort_folded"] / times["bnrun"],
            "unfolded": times["bnrun_unfolded"] / times["bnrun"],
            "than_one": times["bnrun_alone"] / times["bnrun"] if "bnrun_alone" in times else None,
            "gflops": flops / 1e9,
            "of_limit": flops / limit if limit else math.nan,
        })
    return cells


def layers_of(measured):
    """One flat dict a cell of single layers, "4096x4 float32" being four of them."""
    flops_of = {limit["threads"]: limit["flops"] for limit in measured["limits"]}
    times_of = {(cell["model"], cell["rows"], cell["threads"]): cell["microseconds_per_row"]["bnrun"] for cell in measured["layers"]}
    layers = []
    for cell in measured["layers"]:
        size, dtype = cell["model"].split()
        times = cell["microseconds_per_row"]
        flops = 2e6 * cell["macs_per_row"] / times["bnrun"]
        of_float = times_of.get((f"{size} float32", cell["rows"], cell["threads"]))
        layers.append({
            "model": cell["model"], "rows": cell["rows"], "threads": cell["threads"],
            "microseconds": times["bnrun"] * cell["rows"],
            "ort_microseconds": times["ort"] * cell["rows"] if "ort" in times else None,
            "faster": times["ort"] / times["bnrun"] if "ort" in times else None,
            "than_float32": of_float / times["bnrun"] if dtype != "float32" and of_float else None,
            "gflops": flops / 1e9,
            "of_limit": flops / limit_of(cell, flops_of),
            "from_memory": "bytes_per_second" in cell,
        })
    return layers


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def summary(cells, layers=()):
    lines = []
    for key, rival in (("faster", "ONNX Runtime on the same model"), ("faster_folded", "ONNX Runtime on the model that bnfold wrote")):
        ratios = [cell[key] for cell in cells]
        slower = sum(ratio < 1 for ratio in ratios)
        lines.append(f"- Against {rival}: {geometric_mean(ratios):.2f} times faster (geometric mean of {len(ratios)} cells), "
                     f"{min(ratios):.2f} in the worst cell; slower in {slower}.")
    worst = max(cells, key=lambda cell: cell["unfolded"])
    lines.append(f"- Without folding bnrun takes {geometric_mean([cell['unfolded'] for cell in cells]):.2f} times as long, "
                 f"{worst['unfolded']:.2f} at worst ({worst['model']}, {worst['rows']} rows).")
    shared = [cell for cell in cells if cell["than_one"] and cell["rows"] >= MANY_ROWS]
    if shared:
        worst = min(shared, key=lambda cell: cell["than_one"])
        lines.append(f"- From {MANY_ROWS} rows on, several threads are {geometric_mean([cell['than_one'] for cell in shared]):.2f} times as fast as one, "
                     f"{worst['than_one']:.2f} at worst ({worst['model']}, {worst['rows']} rows).")
    for what, chosen in (("Single layers of float32 reach {:.0%} of the limit at worst", lambda cell: cell["model"].endswith("float32") and not cell["from_memory"]),
                         ("One row of weights that come from memory reads them at {:.0%} of the rate of reading at worst", lambda cell: cell["from_memory"])):
        shares = [cell["of_limit"] for cell in layers if chosen(cell)]
        if shares:
            lines.append(f"- {what.format(min(shares))}.")
    for dtype in ("int8", "bfloat16"):
        most = [cell for cell in layers if cell["model"].endswith(dtype) and cell["than_float32"]]
        if most:
            cell = max(most, key=lambda cell: cell["rows"])
            beside = f", {cell['faster']:.2f} times as fast as ONNX Runtime" if cell["faster"] else ""
            lines.append(f"- {cell['model']} with {cell['rows']} rows is {cell['than_float32']:.2f} times as fast as float32{beside}.")
    return lines


def table(columns, rows):
    """What is not known of a row stays empty."""
    lines = ["| " + " | ".join(head for _, head, _ in columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    for row in rows:
        lines.append("| " + " | ".join("" if row[key] is None else style.format(row[key]) for key, _, style in columns) + " |")
    return lines


def markdown(measured, cells, layers):
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
        "reached in the same turns: a processor's clock changes with its load and with what else it does. \"Than one thread\" is how many times as",
        "fast two threads run. Turns in which the machine did something else, or another machine, as far as multiply-adds, additions and",
        "passing something on tell (`tests/bench/yardsticks.h`), are taken again while there is time: processors of a virtual machine may for a",
        "while be two halves of one, or far from each other.",
        "",
        f"Measured on: {'; '.join(machine)}. bnrun {measured['bnrun']}, ONNX Runtime {measured['ort']}.",
    ]
    if measured["mode"] == "quick":
        lines += ["", "**Preliminary**: a quick run of a few short turns, which single cells may mislead; only a full one counts."]
    lines += ["", *summary(cells, layers), "", *table(COLUMNS, cells)]
    if layers:
        lines += ["", "## Single layers", "",
                  "MatMul (QLinearMatMul for bytes) with constant weights, microseconds of a run. ONNX Runtime does not multiply bfloat16. Where weights",
                  "come from memory, 4096x4 being four layers of 64 MiB, the limit is what reading memory reached in the same turns; otherwise multiply-adds of float32.", "",
                  *table(LAYER_COLUMNS, layers)]
    return "\n".join(lines) + "\n"


def main(source, *others):
    *others, folder = others
    measured = json.loads(pathlib.Path(source).read_text())
    measured["cells"].sort(key=worst_first)
    for other in others:
        measured.setdefault("layers", []).extend(json.loads(pathlib.Path(other).read_text())["cells"])
    cells = cells_of(measured)
    layers = layers_of(measured) if "layers" in measured else []
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.md").write_text(markdown(measured, cells, layers))
    (folder / "speed.json").write_text(json.dumps(measured, indent=1) + "\n")
    with open(folder / "speed.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [key for key, _, _ in COLUMNS], lineterminator="\n")
        writer.writeheader()
        for cell in cells:
            writer.writerow({key: f"{value:.4g}" if isinstance(value, float) else value for key, value in cell.items()})
    (folder / "speed.svg").write_text(chart(cells))
    print("\n".join(summary(cells, layers)))


if __name__ == "__main__":
    main(*sys.argv[1:])
