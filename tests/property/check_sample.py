"""Lets ONNX's own checker and shape inference judge folded models: check_sample.py FOLD_PROPERTY_TEST"""
import os
import pathlib
import subprocess
import sys
import tempfile

import onnx

COUNT = 200

with tempfile.TemporaryDirectory() as folder:
    environment = dict(os.environ, BNRUN_FOLD_SAMPLE=folder, BNRUN_FOLD_NETWORKS=str(COUNT))
    subprocess.run([sys.argv[1], "--gtest_brief=1", "--gtest_filter=*.WriteSample"], env=environment, check=True)
    models = sorted(pathlib.Path(folder).glob("*.onnx"))
    if len(models) != COUNT:
        sys.exit(f"{len(models)} models, expected {COUNT}")
    for model in models:
        try:
            onnx.checker.check_model(str(model), full_check=True)
        except Exception as error:
            sys.exit(f"{model.name}: {error}")
print(f"{COUNT} folded models accepted")
