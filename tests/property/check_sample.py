"""Lets ONNX's own checker and shape inference judge folded models: check_sample.py FOLD_PROPERTY_TEST"""
import os
import pathlib
import subprocess
import sys
import tempfile

import onnx

COUNT = 250

with tempfile.TemporaryDirectory() as folder:
    environment = dict(os.environ, BNRUN_FOLD_SAMPLE=folder, BNRUN_FOLD_NETWORKS=str(COUNT))
    subprocess.run([sys.argv[1], "--gtest_brief=1", "--gtest_filter=*.WriteSample"], env=environment, check=True)
    models = sorted(pathlib.Path(folder).glob("*.onnx"))
    if len(models) != COUNT:
        sys.exit(f"{len(models)} models, expected {COUNT}")
    accepted = 0
    for model in models:
        opset = onnx.load(model).opset_import[0].version
        if opset > onnx.defs.onnx_opset_version():
            continue
        try:  # most operators of opset 5 have no rule for inference
            onnx.checker.check_model(str(model), full_check=opset > 5)
        except Exception as error:
            sys.exit(f"{model.name}: {error}")
        accepted += 1
if accepted < COUNT / 2:
    sys.exit(f"only {accepted} models are of an opset that this version of onnx knows")
print(f"{accepted} folded models accepted")
