"""The rooms of engine/: what each may include. Reads the #include lines, so that nothing has to be built."""

import collections
import pathlib
import re
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]

# A room stands on these rooms and on the public headers (bnrun/), on nothing else. docs/architecture.md says why.
MAY_INCLUDE = {
    "base": "",
    "kernels": "base",
    "affine": "base",
    "op": "base kernels affine",
    "graph": "base affine op",
    "passes": "base affine op graph",
    "program": "base kernels affine op graph",
    "exec": "base op program",
    "ops": "base kernels affine op graph passes program exec",  # and nobody includes ops: the table in it names operators
    "onnx": "base op graph",
    "verify": "base affine op graph passes",
    "inspect": "base op graph passes",
    "api": "base op graph passes program exec onnx verify inspect",
    "train": "base kernels affine op graph passes api",
    "bindings": "",  # what any program may use
}
# Libraries that one room knows.
ONLY_IN = {"pybind11": "bindings", "numpy": "bindings", "hwy": "kernels", "cblas": "kernels", "onnx/onnx": "onnx", "google/protobuf": "onnx"}
INCLUDE = re.compile(r'^#include (?:"([^"]+)"|<([^>]+)>)', re.M)


def arrows_that_run_up(engine):
    """One line for each include that the rooms forbid, and how many includes were looked at."""
    found, looked_at = [], 0
    for file in sorted(engine.rglob("*")):
        room = file.relative_to(engine).parts[0]
        if file.suffix not in (".h", ".cpp", ".inc") or room == "include":
            continue
        if room not in MAY_INCLUDE:
            found.append(f"{file.relative_to(engine)}: there is no room '{room}'")
            continue
        for own, library in INCLUDE.findall(file.read_text()):
            looked_at += 1
            target = (own or library).split("/")[0]
            if own and target not in ["bnrun", room, *MAY_INCLUDE[room].split()]:
                found.append(f"{file.relative_to(engine)} includes {own}: {room}/ does not stand on {target}/")
            for name, home in ONLY_IN.items():
                if library.startswith(name) and room != home:
                    found.append(f"{file.relative_to(engine)} includes <{library}>, which only {home}/ knows")
    return found, looked_at


def lines_of(folder):
    return sum(len(f.read_text().splitlines()) for f in folder.rglob("*") if f.suffix in (".h", ".cpp", ".inc"))


class House(unittest.TestCase):
    def test_no_arrow_runs_up(self):
        found, looked_at = arrows_that_run_up(ROOT / "engine")
        self.assertGreater(looked_at, 500)
        self.assertEqual(found, [])

    def test_an_arrow_that_is_turned_round_is_found(self):
        for file, line in [("base/tensor.cpp", '"graph/graph.h"'), ("graph/graph.cpp", '"passes/prepare.h"'),
                           ("passes/prepare.cpp", '"ops/linear/gemm.h"'), ("exec/arena.cpp", '"onnx/read.h"'),
                           ("program/lower.cpp", "<hwy/highway.h>"), ("attic/a.cpp", '"base/fail.h"')]:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / file
                path.parent.mkdir()
                path.write_text(f"#include {line}\n")
                self.assertEqual(len(arrows_that_run_up(pathlib.Path(folder))[0]), 1, file)

    def test_the_rooms_have_no_circle(self):
        done = set()
        while len(done) < len(MAY_INCLUDE):
            ready = {room for room, below in MAY_INCLUDE.items() if set(below.split()) <= done} - done
            self.assertTrue(ready, f"a circle among {set(MAY_INCLUDE) - done}")
            done |= ready

    def test_no_room_is_a_hall(self):
        sizes = collections.Counter({room: lines_of(ROOT / "engine" / room) for room in MAY_INCLUDE})
        for room, lines in sizes.items():
            if room != "ops":
                self.assertLess(lines, 0.20 * sizes.total(), room)
        families = {f.name: lines_of(f) for f in (ROOT / "engine/ops").iterdir() if f.is_dir()}
        for family, lines in families.items():
            self.assertLess(lines, 0.15 * sizes["ops"], family)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
