# BNRUN_PYTHON_MODULE: whether the Python module is built; by default where pybind11 and the headers of Python and numpy
# are found. Sets BNRUN_PYTHON_EXECUTABLE, _INCLUDES and _SOABI.
find_program(BNRUN_PYTHON_EXECUTABLE python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_path(BNRUN_PYBIND11_INCLUDE pybind11/pybind11.h)
set(python_found FALSE)
if(BNRUN_PYTHON_EXECUTABLE AND BNRUN_PYBIND11_INCLUDE)
  execute_process(
    COMMAND ${BNRUN_PYTHON_EXECUTABLE} -c "import sysconfig, numpy
print(sysconfig.get_path('include'), numpy.get_include(), sysconfig.get_config_var('SOABI'), sep=';')"
    OUTPUT_VARIABLE python_facts OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE python_failed)
  if(NOT python_failed)
    list(GET python_facts 0 python_include)
    list(GET python_facts 1 numpy_include)
    list(GET python_facts 2 BNRUN_PYTHON_SOABI)
    if(EXISTS ${python_include}/Python.h AND EXISTS ${numpy_include}/numpy/arrayobject.h)
      set(BNRUN_PYTHON_INCLUDES ${python_include} ${numpy_include} ${BNRUN_PYBIND11_INCLUDE})
      set(python_found TRUE)
    endif()
  endif()
endif()
option(BNRUN_PYTHON_MODULE "Build the Python module" ${python_found})
if(BNRUN_PYTHON_MODULE AND NOT python_found)
  message(FATAL_ERROR "BNRUN_PYTHON_MODULE needs pybind11-dev, python3-dev and python3-numpy")
endif()
