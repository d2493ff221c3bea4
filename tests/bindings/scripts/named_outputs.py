"""Chosen outputs by name, in another order than the model's."""
import sys

import numpy as np
import onnxruntime as ort

session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
x = np.arange(8, dtype=np.float32).reshape(2, 4)
last, first = session.run([names[-1], names[0]], {session.get_inputs()[0].name: x})
print(names, [(port.name, port.shape, port.type) for port in session.get_inputs()])
print(first.dtype, first.tolist())
print(last.dtype, last.tolist())
