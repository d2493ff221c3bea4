# What `cmake --install` puts in place: programs, libraries, public headers, and what lets CMake and pkg-config find
# them. Everything is relative to the prefix, which may be moved afterwards.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/bnrun)
install(TARGETS bnrun EXPORT bnrunTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS bnrun_tool bnfold_tool bntrain_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY engine/include/bnrun ${CMAKE_CURRENT_BINARY_DIR}/engine/include/bnrun
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT bnrunTargets NAMESPACE bnrun:: DESTINATION ${package_dir})

configure_package_config_file(cmake/bnrunConfig.cmake.in bnrunConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(bnrunConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/bnrunConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/bnrunConfigVersion.cmake
  DESTINATION ${package_dir})

# From the folder of bnrun.pc back to the prefix, however deep the libraries lie.
file(RELATIVE_PATH to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/bnrun.pc.in bnrun.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/bnrun.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
