"""Inputs of several types, and an error that is caught."""
import sys

import numpy as np
import onnxruntime as ort

session = ort.InferenceSession(sys.argv[1])
feed = {"a": np.array([[1, 2], [3, 4]], np.float32), "b": np.array([[10], [20]], np.float32), "pick": np.array([1, 0])}
for port in session.get_inputs():
    print(port.name, port.type, port.shape)
print(session.run(["picked"], feed, ort.RunOptions())[0].tolist())
print(session.run(output_names=None, input_feed={**feed, "pick": np.array([], np.int64)})[0].tolist())
try:
    session.run(None, {**feed, "a": feed["a"].astype(np.float64)})
except Exception as error:
    print("refused:", "a" in str(error))
