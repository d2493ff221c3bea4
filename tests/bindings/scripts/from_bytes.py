"""A model in memory, and what it says of itself."""
import sys

import numpy as np
import onnxruntime as rt

with open(sys.argv[1], "rb") as file:
    session = rt.InferenceSession(file.read(), providers=rt.get_available_providers())
meta = session.get_modelmeta()
print(meta.producer_name, meta.graph_name, meta.custom_metadata_map, meta.version)
print(session.get_providers(), rt.get_device())
result = session.run(None, {"x": np.ones((3, 4), np.float32)})
print(len(result), [array.shape for array in result])
