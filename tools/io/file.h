// Whole files in and out; "-" is standard input or output.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <string_view>

namespace bnrun::io {

/// "standard input" for "-", else the path as given: how messages name a file.
std::string display_name(const std::string& path);

/// All bytes of a file, decompressed when they are gzip. Throws io, invalid_input for damaged gzip data and
/// resource_limit when memory does not suffice.
std::string read_file(const std::string& path);

/// Decompresses gzip data; `name` is for messages.
std::string gunzip(std::string_view bytes, const std::string& name);
bool is_gzip(std::string_view bytes);

/// Whether what is written to `path` is a file then: not standard output, a device or a pipe.
bool keeps_what_is_written(const std::string& path);

/// Throws io when a file could not be written at `path`, as far as can be told before: it is a folder, or its
/// folder is missing or may not be written to.
void check_writable(const std::string& path);

/// Throws io when there is something at `path` that is no regular file (or a link to one): a pipe or a device
/// would keep nothing, and reading it might never end.
void check_keeps(const std::string& path);

/// Writes what `produce` puts into the stream: beside the target first, then renamed over it, so that the
/// target is there whole or not at all. "-" is standard output. Devices and pipes are written in place.
void write_file(const std::string& path, const std::function<void(std::ostream&)>& produce);

/// Writes the bytes so that after a crash, of the machine too, `path` holds what it held or all of them: beside
/// it, as `path`.part, flushed to the disk, then renamed, then the folder flushed. A link is followed. Throws
/// io; `path` is then as it was.
void write_durably(const std::string& path, std::string_view bytes);

}  // namespace bnrun::io
