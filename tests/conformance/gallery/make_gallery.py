"""Writes the gallery: small models the way exporters write Dense and BatchNormalization. make_gallery.py FOLDER

Each model comes as an ONNX backend test (model.onnx, test_data_set_0/{input,output}_*.pb). What the outputs must be is
worked out here in double from the architecture, never by evaluating the ONNX graph. expectations.json says what must
remain after folding. Needs onnx and numpy (Debian: python3-onnx). Everything is drawn from fixed seeds.
"""

import json
import pathlib
import sys
import zlib

import branches
import exporters
import opsets
import routes
import takers
import unsupported
import variants
from onnx import IR_VERSION, checker, defs, numpy_helper, save_model


def is_known_to_checker(model):
    return model.ir_version <= IR_VERSION and all(
        opset.version <= defs.onnx_opset_version() for opset in model.opset_import if opset.domain == "")


def write_case(folder, case, model):
    data = folder / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    if case.external:
        (folder / "model.onnx.data").unlink(missing_ok=True)  # onnx appends
        save_model(model, str(folder / "model.onnx"), save_as_external_data=True, location="model.onnx.data",
                   size_threshold=0)
    else:
        (folder / "model.onnx").write_bytes(model.SerializeToString())
    for kind, arrays in (("input", case.inputs), ("output", case.outputs)):
        for i, (name, array) in enumerate(arrays.items()):
            tensor = numpy_helper.from_array(case.stored(array), name)
            (data / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())


def main(folder):
    expectations = {"models": {}, "unsupported": {}}
    for family in (exporters, variants, branches, routes, opsets, takers):
        for name, make in family.GALLERY.items():
            case = make(zlib.crc32(name.encode()))
            model = case.model()
            known = is_known_to_checker(model)
            if known:
                checker.check_model(model)
            write_case(folder / name, case, model)
            expectations["models"][name] = {**case.expectation(), "known_to_checker": known}
    for name, (model, words) in unsupported.GALLERY.items():
        (folder / "unsupported").mkdir(parents=True, exist_ok=True)
        (folder / "unsupported" / f"{name}.onnx").write_bytes(model().SerializeToString())
        expectations["unsupported"][name] = words
    (folder / "expectations.json").write_text(json.dumps(expectations, indent=2) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
