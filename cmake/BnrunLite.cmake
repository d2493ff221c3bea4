# BNRUN_LITE: the ONNX message classes generated for protobuf's lite runtime, which Debian's libonnx has for the full one
# alone; fmt compiled in; and Highway without its library, of which kernels/lite_targets.cpp defines what is used.
find_path(ONNX_PROTO_FOLDER onnx/onnx.proto REQUIRED)
set(lite ${CMAKE_CURRENT_BINARY_DIR}/lite)
file(READ ${ONNX_PROTO_FOLDER}/onnx/onnx.proto definitions)
if(NOT definitions MATCHES "optimize_for = LITE_RUNTIME")
  string(APPEND definitions "\noption optimize_for = LITE_RUNTIME;\n")
endif()
file(CONFIGURE OUTPUT ${lite}/onnx/onnx.proto CONTENT "${definitions}" @ONLY)
file(CONFIGURE OUTPUT ${lite}/onnx/onnx_pb.h CONTENT "#include \"onnx/onnx.pb.h\"\n" @ONLY)
add_custom_command(OUTPUT ${lite}/onnx/onnx.pb.cc ${lite}/onnx/onnx.pb.h
  COMMAND protobuf::protoc --proto_path=${lite} --cpp_out=${lite} onnx/onnx.proto
  DEPENDS ${lite}/onnx/onnx.proto VERBATIM)
add_library(bnrun_messages OBJECT ${lite}/onnx/onnx.pb.cc)
set_target_properties(bnrun_messages PROPERTIES UNITY_BUILD OFF)
target_include_directories(bnrun_messages SYSTEM PUBLIC ${lite})
target_link_libraries(bnrun_messages PUBLIC protobuf::libprotobuf-lite)

add_library(bnrun_message_headers INTERFACE)
target_include_directories(bnrun_message_headers SYSTEM INTERFACE ${lite})
target_link_libraries(bnrun_message_headers INTERFACE protobuf::libprotobuf-lite)
add_dependencies(bnrun_message_headers bnrun_messages)

add_library(bnrun_highway INTERFACE)
get_target_property(highway_headers hwy::hwy INTERFACE_INCLUDE_DIRECTORIES)
if(highway_headers)
  target_include_directories(bnrun_highway SYSTEM INTERFACE ${highway_headers})
endif()

set(BNRUN_MESSAGES bnrun_message_headers)
set(BNRUN_FMT fmt::fmt-header-only)
set(BNRUN_HIGHWAY bnrun_highway)
