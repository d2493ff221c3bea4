// https://protobuf.dev/programming-guides/encoding: a message is a row of fields, each a tag (number * 8 + wire type)
// and a value; a message inside another is its length and its bytes.
#include "onnx/stored.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>

namespace bnrun {
namespace {

/// Smaller ones are not worth a read of their own.
constexpr std::uint64_t kLarge = std::uint64_t{1} << 16;
/// A message of more is held once by the parser alone.
constexpr std::uint64_t kMostHeld = std::uint64_t{1} << 23;

enum WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
constexpr std::uint64_t tag(std::uint64_t number, WireType type) {
  return number * 8 + type;
}
constexpr std::uint64_t kGraph = tag(7, kBytes);        // of ModelProto
constexpr std::uint64_t kInitializer = tag(5, kBytes);  // of GraphProto
constexpr std::uint64_t kRawData = tag(9, kBytes);      // of TensorProto

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

/// What a file holds in one go, a window at a time.
class Cursor {
 public:
  explicit Cursor(const InputFile& file) : file_(file) {}

  std::uint64_t at() const { return at_; }
  void skip(std::uint64_t bytes) { at_ += bytes; }

  /// Of a varint that ends before `end`.
  std::optional<std::uint64_t> varint(std::uint64_t end) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && at_ < end; shift += 7) {
      const auto byte = static_cast<std::uint64_t>(window(1)[0]);
      ++at_;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }

  void copy(std::uint64_t bytes, std::string& out) {
    while (bytes > 0) {
      const auto some = window(bytes);
      out.append(reinterpret_cast<const char*>(some.data()), some.size());
      at_ += some.size();
      bytes -= some.size();
    }
  }

 private:
  /// At least one and at most `wanted` bytes from here on, which are in the file.
  std::span<const std::byte> window(std::uint64_t wanted) {
    if (at_ < begin_ || at_ >= begin_ + filled_) {
      begin_ = at_;
      filled_ = std::min<std::uint64_t>(buffer_.size(), file_.bytes() - at_);
      file_.read_at(begin_, std::span(buffer_).first(filled_));
    }
    const std::uint64_t from = at_ - begin_;
    return std::span<const std::byte>(buffer_).subspan(from, std::min(wanted, filled_ - from));
  }

  const InputFile& file_;
  std::uint64_t at_ = 0;
  std::array<std::byte, 4096> buffer_;
  std::uint64_t begin_ = 0;
  std::uint64_t filled_ = 0;
};

/// Goes through the fields up to `end`: `take(tag, length)` handles a field of bytes and tells whether it did; all
/// others are copied to `out`. False where the message is damaged or `take` gives up by returning nullopt.
template <class Take>
bool copy_fields(Cursor& cursor, std::uint64_t end, std::string& out, const Take& take) {
  while (cursor.at() < end) {
    const auto field = cursor.varint(end);
    if (!field) return false;
    std::uint64_t bytes = 0;
    switch (*field & 7) {
      case kVarint: {
        const auto value = cursor.varint(end);
        if (!value) return false;
        append_varint(out, *field);
        append_varint(out, *value);
        continue;
      }
      case kFixed64:
        bytes = 8;
        break;
      case kFixed32:
        bytes = 4;
        break;
      case kBytes: {
        const auto length = cursor.varint(end);
        if (!length || *length > end - cursor.at()) return false;
        const std::optional<bool> taken = take(*field, *length);
        if (!taken) return false;
        if (*taken) continue;
        if (out.size() + *length > kMostHeld) return false;
        append_varint(out, *field);
        append_varint(out, *length);
        cursor.copy(*length, out);
        continue;
      }
      default:
        return false;
    }
    if (bytes > end - cursor.at()) return false;
    append_varint(out, *field);
    cursor.copy(bytes, out);
  }
  return true;
}

void append_message(std::uint64_t field, const std::string& message, std::string& out) {
  append_varint(out, field);
  append_varint(out, message.size());
  out += message;
}

class Splitter {
 public:
  explicit Splitter(const InputFile& file) : file_(file), cursor_(file) {}

  std::optional<SplitModel> split() {
    const bool whole = copy_fields(cursor_, file_.bytes(), model_.message,
                                   [&](auto field, auto length) -> std::optional<bool> {
                                     if (field != kGraph) return false;
                                     if (std::exchange(has_graph_, true)) return std::nullopt;
                                     return graph(cursor_.at() + length);
                                   });
    if (!whole || model_.raw_data.empty()) return std::nullopt;
    return std::move(model_);
  }

 private:
  std::optional<bool> graph(std::uint64_t end) {
    std::string message;
    const bool whole =
        copy_fields(cursor_, end, message, [&](auto field, auto length) -> std::optional<bool> {
          if (field != kInitializer) return false;
          return initializer(cursor_.at() + length, message);
        });
    if (!whole) return std::nullopt;
    append_message(kGraph, message, model_.message);
    return true;
  }

  std::optional<bool> initializer(std::uint64_t end, std::string& graph) {
    std::string message;
    int times = 0;
    const bool whole =
        copy_fields(cursor_, end, message, [&](auto field, auto length) -> std::optional<bool> {
          if (field != kRawData) return false;
          ++times;
          if (length < kLarge) return false;
          model_.raw_data[initializers_] = {cursor_.at(), length};
          cursor_.skip(length);
          return true;
        });
    if (!whole || (times > 1 && model_.raw_data.contains(initializers_))) return std::nullopt;
    append_message(kInitializer, message, graph);
    ++initializers_;
    return true;
  }

  const InputFile& file_;
  Cursor cursor_;
  SplitModel model_;
  bool has_graph_ = false;
  int initializers_ = 0;
};

}  // namespace

std::optional<SplitModel> split_model(const InputFile& file) {
  return Splitter(file).split();
}

}  // namespace bnrun
