"""Trains a classifier on a table of numbers, folds its model, verifies the fold, and runs it."""
import numpy as np

import bnrun

numbers = np.random.default_rng(0)
kinds = np.array(["low", "high"])
X = numbers.standard_normal((500, 8))
y = kinds[(X[:, 0] + X[:, 1] > 0).astype(int)]

classifier = bnrun.MLPClassifier((32, 32), max_iter=20, random_state=0).fit(X[:400], y[:400])
print(f"right on {classifier.score(X[400:], y[400:]):.0%} of the rows kept aside")

report = bnrun.fold(classifier.to_onnx())
print(report)
print(bnrun.verify(classifier.to_onnx(), report.model, {"input": X.astype(np.float32)}))

session = bnrun.InferenceSession(report.model)
probabilities = session.run(None, {"input": X[400:403].astype(np.float32)})[0]
print([session.class_names[i] for i in probabilities.argmax(axis=1)])
