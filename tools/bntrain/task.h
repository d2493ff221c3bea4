// What is to be learned of a table.
#pragma once

namespace bnrun {

/// multilabel: each target is a label of its own, 0 or 1.
enum class Task { automatic, classification, regression, multilabel };

}  // namespace bnrun
