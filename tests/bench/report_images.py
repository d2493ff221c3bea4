"""What run_images measured, as tables: report_images.py MEASURED_FOLDER FOLDER

Adds the measurements NETWORK.1.json and NETWORK.2.json (of one and two threads) to FOLDER/speed-images.json and writes the part of
FOLDER/speed-images.md between its two marks anew.
"""

import json
import math
import pathlib
import re
import sys

MARKS = ("<!-- tables -->", "<!-- end of tables -->")
SIZES = ((1, 1), (1, 8), (2, 1), (2, 8))  # threads, images


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def cells_of(measured):
    """{(network, threads, images): figures}, microseconds per image."""
    cells = {}
    for run in measured.values():
        limits = {limit["threads"]: limit["flops"] for limit in run["limits"]}
        for cell in run["cells"]:
            times = cell["microseconds_per_row"]
            # of the turns themselves; more threads gain what they gained in the limits of the run
            limit = cell["flops_of_one_thread"] * (limits[cell["threads"]] / limits[1] if 1 in limits else cell["threads"])
            cells[cell["model"], cell["threads"], cell["rows"]] = {
                "bnrun": times["bnrun"], "ort": times["ort"],
                "faster": times["ort"] / times["bnrun"],
                "faster_folded": times["ort_folded"] / times["bnrun"],
                "share": 2e6 * cell["macs_per_row"] / times["bnrun"] / limit,
            }
    return cells


def chosen(cells, threads, images):
    return sorted(((name, cell) for (name, t, n), cell in cells.items() if (t, n) == (threads, images)),
                  key=lambda item: -item[1]["faster"])


def headline(threads, images):
    return f"{'One image' if images == 1 else f'{images} images'} at a time, {'one thread' if threads == 1 else f'{threads} threads'}"


def summary(cells):
    lines = []
    for threads, images in SIZES:
        rows = [cell for _, cell in chosen(cells, threads, images)]
        if not rows:
            continue
        worst = chosen(cells, threads, images)[-1]
        lines.append(f"- {headline(threads, images)}: {geometric_mean([row['faster'] for row in rows]):.2f} times faster on the same file "
                     f"(geometric mean of {len(rows)}), {worst[1]['faster']:.2f} at worst ({worst[0]}); "
                     f"{geometric_mean([row['faster_folded'] for row in rows]):.2f} against ONNX Runtime on the folded file.")
    gains = [cells[name, 1, 1]["bnrun"] / cell["bnrun"] for name, cell in chosen(cells, 2, 1) if (name, 1, 1) in cells]
    if gains:
        lines.append(f"- One image on two threads runs {geometric_mean(gains):.2f} times as fast as on one (geometric mean), {min(gains):.2f} at worst.")
    return lines


def tables(measured, layers):
    cells = cells_of(measured)
    lines = [*summary(cells), ""]
    for threads, images in SIZES:
        rows = chosen(cells, threads, images)
        if not rows:
            continue
        lines += [f"## {headline(threads, images)}", "",
                  "| network | bnrun | ONNX Runtime | times faster | than folded | share" + (" | than one thread |" if threads > 1 else " |"),
                  "|---|---:|---:|---:|---:|---:" + ("|---:|" if threads > 1 else "|")]
        for name, cell in rows:
            line = (f"| {name} | {cell['bnrun']:.0f} | {cell['ort']:.0f} | {cell['faster']:.2f} | {cell['faster_folded']:.2f} | {cell['share']:.0%} |")
            if threads > 1:
                alone = cells.get((name, 1, images))
                line += f" {alone['bnrun'] / cell['bnrun']:.2f} |" if alone else " |"
            lines.append(line)
        lines.append("")
    if layers:
        lines += ["## Single layers, one thread", "", "Convolutions of stride 1 with Relu, weights no longer in the second-level cache; the limit is measured between them. Short sums (64 channels, one tap) and "
                  "small images feel what a tile costs besides its multiply-adds; 512 channels on nine positions wait for 9 MB of weights.", "",
                  "| taps | channels | image | GFLOP/s | share |", "|---|---:|---:|---:|---:|"]
        for layer in layers:
            _, taps, channels, extent = layer["name"].split("/")[:4]
            lines.append(f"| {taps} | {channels.replace('x', ' to ')} | {extent} | {layer['GFLOP/s']:.0f} | {layer['share']:.0%} |")
        lines.append("")
    memory = {name: peak for run in measured.values() for name, peak in run.get("peak_bytes", {}).items()}
    if memory:
        lines += ["## Memory", "", "Most that a process has in memory which loads a network and runs one image on one thread, in MiB:", "",
                  "| network | bnrun | ONNX Runtime |", "|---|---:|---:|"]
        lines += [f"| {name} | {peak['bnrun'] / 2**20:.0f} | {peak['ort'] / 2**20:.0f} |" for name, peak in sorted(memory.items())]
        lines.append("")
    return "\n".join(lines)


def main(source, folder):
    kept = pathlib.Path(folder) / "speed-images.json"
    measured = json.loads(kept.read_text()) if kept.exists() else {}
    for path in sorted(pathlib.Path(source).glob("*.[12].json")):
        measured[path.name.removesuffix(".json")] = json.loads(path.read_text())
    kept.write_text(json.dumps(measured, indent=1) + "\n")
    of_layers = pathlib.Path(source) / "layers.json"
    layers = [layer for layer in json.loads(of_layers.read_text())["benchmarks"] if "share" in layer] if of_layers.exists() else []
    page = pathlib.Path(folder) / "speed-images.md"
    first, last = map(re.escape, MARKS)
    text = tables(measured, layers)
    page.write_text(re.sub(f"({first}\n).*?({last})", lambda marks: f"{marks[1]}{text}{marks[2]}", page.read_text(), flags=re.DOTALL))
    print("\n".join(summary(cells_of(measured))))


if __name__ == "__main__":
    main(*sys.argv[1:])
