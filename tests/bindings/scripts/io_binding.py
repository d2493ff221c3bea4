"""Memory of the caller for inputs and outputs, bound in each of the ways there are."""
import sys

import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 2
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
session = onnxruntime.InferenceSession(sys.argv[1], sess_options=options, providers=["CPUExecutionProvider"])
x = np.arange(8, dtype=np.float32).reshape(2, 4)

binding = session.io_binding()
binding.bind_cpu_input("x", x)
binding.bind_output("doubled")
binding.bind_output("sums", "cpu")
session.run_with_iobinding(binding)
print([array.tolist() for array in binding.copy_outputs_to_cpu()])

value = onnxruntime.OrtValue.ortvalue_from_numpy(x)
target = onnxruntime.OrtValue.ortvalue_from_shape_and_type([2, 4], np.float32)
binding = session.io_binding()
binding.bind_ortvalue_input("x", value)
binding.bind_ortvalue_output("doubled", target)
binding.bind_output("sums")
for factor in (1, 10):
    value.update_inplace(x * np.float32(factor))
    session.run_with_iobinding(binding)
    print(target.numpy().tolist(), binding.get_outputs()[1].numpy().tolist(), binding.get_outputs()[1].shape())

y = np.empty((2, 4), np.float32)
binding = session.io_binding()
binding.bind_input(name="x", device_type="cpu", device_id=0, element_type=np.float32, shape=x.shape, buffer_ptr=x.ctypes.data)
binding.bind_output(name="doubled", device_type="cpu", device_id=0, element_type=np.float32, shape=y.shape,
                    buffer_ptr=y.ctypes.data)
binding.bind_output("sums")
session.run_with_iobinding(binding)
print(y.tolist(), target.data_type(), value.device_name())
