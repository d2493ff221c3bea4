// What a message holds besides the fields that its classes know, whichever of protobuf's two runtimes these are made for: the
// full one keeps a set of fields, the lite one their bytes.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/unknown_field_set.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace bnrun {

inline std::string bytes_of(const google::protobuf::UnknownFieldSet& fields) {
  std::string bytes;
  fields.SerializeToString(&bytes);
  return bytes;
}
inline std::string bytes_of(const std::string& fields) {
  return fields;
}

inline void append(google::protobuf::UnknownFieldSet& to, const google::protobuf::UnknownFieldSet& fields) {
  to.MergeFrom(fields);
}
inline void append(std::string& to, const std::string& fields) {
  to += fields;
}

inline void clear(google::protobuf::UnknownFieldSet& fields) {
  fields.Clear();
}
inline void clear(std::string& fields) {
  fields.clear();
}

/// Calls visit(number, where the field begins, what it holds) for the fields of a message in the order of its bytes, until it
/// returns false. What a field holds is given of strings, bytes and messages, and empty for any other.
template <class Visit>
void for_each_field(const std::string& bytes, Visit&& visit) {
  using google::protobuf::internal::WireFormatLite;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  for (;;) {
    const auto start = static_cast<std::size_t>(in.CurrentPosition());
    const std::uint32_t tag = in.ReadTag();
    std::uint32_t length = 0;
    const bool delimited = WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    if (tag == 0 || (delimited && !in.ReadVarint32(&length))) return;
    const std::string_view rest =
        std::string_view(bytes).substr(static_cast<std::size_t>(in.CurrentPosition()));
    if (!visit(WireFormatLite::GetTagFieldNumber(tag), start, rest.substr(0, length))) return;
    if (!(delimited ? in.Skip(static_cast<int>(length)) : WireFormatLite::SkipField(&in, tag))) return;
  }
}

}  // namespace bnrun
