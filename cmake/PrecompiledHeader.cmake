# LibTorch's headers are most of what compiling costs (torch/nn/module.h 11 s, any ATen/ops header 5 s), so they are
# compiled once. Sources that include none of them skip the precompiled header: reading it costs more than they do.
#
# vlalign_precompile(TARGET [REUSE_FROM OTHER]): call it after the target has its sources.
function(vlalign_precompile target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" REUSE_FROM "")
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    file(STRINGS "${source}" heavy REGEX "^#include (<(ATen|torch)/|\"(vlalign/)?nn/)" LIMIT_COUNT 1)
    if(NOT heavy)
      set_source_files_properties("${source}" PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
  # Lets ccache see through g++'s precompiled header.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  if(arg_REUSE_FROM)
    target_precompile_headers(${target} REUSE_FROM ${arg_REUSE_FROM})
  else()
    target_precompile_headers(${target} PRIVATE <torch/nn/module.h> <fmt/format.h> <fmt/ranges.h>)
  endif()
endfunction()
