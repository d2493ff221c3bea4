// Text, paths and options between Python and the engine. Names in a model may be any bytes: those that are not UTF-8 are
// lone surrogates in Python ("surrogateescape"), as in its file names. Everything here needs the GIL.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "bnrun/error.h"

namespace bnrun::python {

pybind11::str to_text(std::string_view bytes);
pybind11::list to_texts(const std::vector<std::string>& list);

/// The bytes of a str. Throws invalid_input for other objects, and for surrogates that stand for no byte; `what` begins
/// the message.
std::string from_text(pybind11::handle text, const std::string& what);
/// The same for each item of a list; a str is the one item of a list.
std::vector<std::string> from_texts(pybind11::handle list, const std::string& what);

/// A str or os.PathLike, as the system names the file. Throws Python's TypeError for other objects.
std::filesystem::path to_path(pybind11::handle path);

/// A dict by names of nodes, operators or properties.
template <class T>
pybind11::dict to_dict(const std::map<std::string, T>& entries) {
  pybind11::dict dict;
  for (const auto& [name, value] : entries) {
    if constexpr (std::is_same_v<T, std::string>)
      dict[to_text(name)] = to_text(value);
    else
      dict[to_text(name)] = value;
  }
  return dict;
}

/// What was given for an option. Throws invalid_input where it cannot be a T.
template <class T>
T cast_option(pybind11::handle given, const std::string& name) {
  try {
    return given.cast<T>();
  } catch (const pybind11::cast_error&) {
    throw Error(ErrorCode::invalid_input,
                "'" + name + "' cannot be " + from_text(pybind11::repr(given), "what is given"));
  }
}
template <class T>
T option(const pybind11::dict& options, const char* name) {
  return cast_option<T>(options[name], name);
}

}  // namespace bnrun::python
