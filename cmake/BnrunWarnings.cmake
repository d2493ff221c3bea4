# Flags shared by every target: warnings, sanitizers.
add_library(bnrun_flags INTERFACE)
target_compile_options(bnrun_flags INTERFACE -Wall -Wextra -Wconversion $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local>
                       -Wno-missing-field-initializers)
if(BNRUN_WERROR)
  target_compile_options(bnrun_flags INTERFACE -Werror)
endif()
if(BNRUN_SANITIZE)
  target_compile_options(bnrun_flags INTERFACE -fsanitize=${BNRUN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(bnrun_flags INTERFACE -fsanitize=${BNRUN_SANITIZE})
endif()
if(BNRUN_FUZZ)
  target_compile_options(bnrun_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
