# What `cmake --install` puts in place: programs with their manual pages and completions, libraries, public headers, the
# Python package, and what lets CMake and pkg-config find the library. Everything is relative to the prefix, which may be
# moved afterwards. `cpack` makes a Debian package of each component.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/bnrun)
install(TARGETS bnrun EXPORT bnrunTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development)
if(TARGET bnrun_static)
  install(TARGETS bnrun_static EXPORT bnrunStaticTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
  install(EXPORT bnrunStaticTargets NAMESPACE bnrun:: DESTINATION ${package_dir} COMPONENT development)
endif()
if(NOT BNRUN_TRAIN)
  set(without_trainer REGEX "/train[a-z_]*\\.h$" EXCLUDE)
endif()
install(DIRECTORY engine/include/bnrun ${CMAKE_CURRENT_BINARY_DIR}/engine/include/bnrun
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN "*.h" ${without_trainer})
install(EXPORT bnrunTargets NAMESPACE bnrun:: DESTINATION ${package_dir} COMPONENT development)

configure_package_config_file(cmake/bnrunConfig.cmake.in bnrunConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(bnrunConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/bnrunConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/bnrunConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT development)

# From the folder of bnrun.pc back to the prefix, however deep the libraries lie.
file(RELATIVE_PATH to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
set(private_libraries "-lonnx_proto -lprotobuf -lfmt -lhwy")
configure_file(cmake/bnrun.pc.in bnrun.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/bnrun.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

if(BNRUN_TOOLS)
  foreach(program ${programs})
    install(TARGETS ${program}_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
    set(pages ${CMAKE_CURRENT_BINARY_DIR}/tools/pages)
    install(FILES ${pages}/${program}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)
    install(FILES ${pages}/${program} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT tools)
    install(FILES ${pages}/_${program} DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT tools)
    install(FILES ${pages}/${program}.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
      COMPONENT tools)
  endforeach()
endif()

if(BNRUN_PYTHON_MODULE AND BNRUN_TRAIN)
  set(BNRUN_PYTHON_DIR lib/python3/dist-packages CACHE STRING "Where Python packages go, below the prefix")
  install(TARGETS bnrun_python LIBRARY DESTINATION ${BNRUN_PYTHON_DIR}/bnrun COMPONENT python)
  install(DIRECTORY engine/bindings/python/bnrun/ DESTINATION ${BNRUN_PYTHON_DIR}/bnrun COMPONENT python
    FILES_MATCHING PATTERN "*.py" PATTERN "*.pyi" PATTERN "py.typed" PATTERN "__pycache__" EXCLUDE)
endif()

# -------- Debian packages: `cpack -G DEB` in a build with the prefix /usr (the preset "package")
set(CPACK_PACKAGE_NAME bnrun)
set(CPACK_PACKAGE_VENDOR bnrun)
set(CPACK_PACKAGE_CONTACT "The bnrun authors <bnrun@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_COMPONENTS_ALL library development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_STRIP_FILES ON)
set(own_library "libbnrun${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libbnrun${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
if(BNRUN_BLAS)
  # Loaded when a product needs it, so that no tool finds it in the library's list.
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS "libopenblas0-pthread | libopenblas0")
endif()
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libbnrun-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${own_library}")
# The archive's programs need them; a program that links the shared library does not.
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS
  "libonnx-dev, libprotobuf-dev, libfmt-dev, libhwy-dev")
if(BNRUN_TOOLS)
  list(APPEND CPACK_COMPONENTS_ALL tools)
  set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME bnrun)
  set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION science)
  set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "${own_library}")
endif()
if(BNRUN_PYTHON_MODULE AND BNRUN_TRAIN)
  list(APPEND CPACK_COMPONENTS_ALL python)
  # The module is made for one version of Python: cpython-311 is 3.11.
  string(REGEX REPLACE "^cpython-([0-9])([0-9]+).*" "\\2" python_minor ${BNRUN_PYTHON_SOABI})
  math(EXPR python_next "${python_minor} + 1")
  set(python_version "python3 (>= 3.${python_minor}), python3 (<< 3.${python_next})")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-bnrun)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "${own_library}, ${python_version}, python3-numpy")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SUGGESTS "python3-sklearn, python3-pandas, python3-onnx")
endif()
# Where dpkg-shlibdeps finds the library that the others link.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_CURRENT_BINARY_DIR}/engine)
include(CPack)
