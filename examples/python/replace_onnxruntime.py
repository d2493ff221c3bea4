"""A script of ONNX Runtime with one line changed. usage: replace_onnxruntime.py MODEL"""
import sys

import numpy as np
import bnrun as ort  # was: import onnxruntime as ort

session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
port = session.get_inputs()[0]
x = np.arange(2 * port.shape[1], dtype=np.float32).reshape(2, -1)
print(session.run([session.get_outputs()[0].name], {port.name: x})[0])
