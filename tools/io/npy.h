// NumPy's .npy files (format versions 1 to 3) and .npz archives of them.
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bnrun/session.h"
#include "bnrun/tensor.h"

namespace bnrun::io {

bool is_npy(std::string_view bytes);
/// Reads one array: any byte order, row or column major, numbers, bool, fixed-width text. `source` is how
/// messages name the file. Throws invalid_input, or resource_limit for a shape that memory cannot hold.
Tensor parse_npy(std::string_view bytes, const std::string& source);
/// Version 1 where the header fits, else 2. bfloat16, which NumPy lacks, is written as float32 (exactly).
void write_npy(std::ostream& out, const TensorView& tensor);

/// The arrays of an archive in its order, named without ".npy"; stored or deflated, sizes below 4 GiB.
std::vector<NamedTensor> parse_npz(std::string_view bytes, const std::string& source);
/// Stored, not compressed. Throws resource_limit for arrays of 4 GiB and more.
void write_npz(std::ostream& out, std::span<const NamedTensor> tensors);

}  // namespace bnrun::io
