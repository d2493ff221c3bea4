#include "common/model_output.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/interrupt.h"
#include "common/program.h"
#include "io/file.h"

namespace bnrun::cli {
namespace {

namespace fs = std::filesystem;

/// An empty folder of one's own, gone at the end.
struct TemporaryFolder {
  fs::path path;

  TemporaryFolder() {
    // mkdtemp replaces the six X.
    std::string name = (fs::temp_directory_path() / "bnrun.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw Error(ErrorCode::io, name + ": " + std::strerror(errno));
    path = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
};

/// An open file without a name.
std::ifstream saved(const Model& model) {
  const DeferInterrupts until_removed;
  const TemporaryFolder folder;
  const fs::path file = folder.path / "model.onnx";
  model.save(file, ExternalData::never);
  return std::ifstream(file, std::ios::binary);
}

}  // namespace

void check_model_output(const std::string& output, const std::string& input) {
  if (output == "-") {
    if (::isatty(STDOUT_FILENO) != 0)
      throw UsageError("a model is no text for a terminal: say -o FILE, or send standard output on");
    return;
  }
  std::error_code none;
  if (input != "-" && fs::equivalent(output, input, none))
    throw UsageError(output + ": is the input; the output needs a name of its own");
  io::check_writable(output);
}

void check_distinct(const std::vector<std::string>& written, const std::vector<std::string>& read) {
  std::error_code none;
  const auto real = [&](const std::string& path) {
    return fs::weakly_canonical(fs::absolute(path, none), none);
  };
  const auto is_file = [&](const std::string& path) {  // a device or pipe takes all that comes
    const auto status = fs::status(path, none);
    return path != "-" && !path.empty() && (!fs::exists(status) || !fs::is_other(status));
  };
  const auto same = [&](const std::string& a, const std::string& b) {
    return is_file(a) && !b.empty() && real(a) == real(b);
  };
  for (std::size_t i = 0; i < written.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (same(written[i], written[k])) throw UsageError(written[i] + ": would be written twice");
    }
    for (const std::string& input : read) {
      if (same(written[i], input))
        throw UsageError(written[i] + ": is read; what is written needs a name of its own");
    }
  }
}

void write_model(const Model& model, const std::string& output, ExternalData external_data) {
  if (output != "-") {
    const DeferInterrupts whole;
    model.save(output, external_data);
    return;
  }
  std::ifstream bytes = saved(model);
  io::write_file(output, [&](std::ostream& out) { out << bytes.rdbuf(); });
}

}  // namespace bnrun::cli
