"""A classifier as scikit-learn's converters write it: labels, and a dict from label to probability for each row."""
import sys

import numpy as np
import onnxruntime as rt

session = rt.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
label_name, probability_name = (output.name for output in session.get_outputs())
X = np.array([[2, 0], [0, 3], [-2, -2]], np.float32)
labels, probabilities = session.run([label_name, probability_name], {session.get_inputs()[0].name: X})
print([output.type for output in session.get_outputs()])
print(labels.tolist())
for row in probabilities:
    best = max(row, key=row.get)
    print(best, round(row[best], 4), sorted(row))
