# Finds LibTorch and makes the imported target LibTorch::LibTorch, without Torch's own CMake files: those demand a CUDA
# toolkit as soon as Torch was built with CUDA, though linking against it needs none.
#
# Input, first that is set: VLALIGN_TORCH (CMake or environment variable), Torch_ROOT, LibTorch_ROOT. Each names a folder
# with include/ and lib/: an unpacked LibTorch, or the torch folder of a Python installation (site-packages/torch).
# Output: LibTorch_FOUND, LibTorch_VERSION (2.11.0), LibTorch_DIR, LibTorch_CUDA (whether the CUDA kernels are linked).
#
# LIBTORCH_CUDA=AUTO|ON|OFF: AUTO links the CUDA kernels when they are there with all the libraries they need.

set(LIBTORCH_CUDA AUTO CACHE STRING "Link LibTorch's CUDA kernels: AUTO, ON or OFF")
set_property(CACHE LIBTORCH_CUDA PROPERTY STRINGS AUTO ON OFF)

set(_libtorch_hints)
foreach(_root IN ITEMS "${VLALIGN_TORCH}" "$ENV{VLALIGN_TORCH}" "${Torch_ROOT}" "$ENV{Torch_ROOT}"
                       "${LibTorch_ROOT}" "$ENV{LibTorch_ROOT}")
  if(_root)
    get_filename_component(_root "${_root}" ABSOLUTE)
    if(NOT EXISTS "${_root}/include/ATen/core/Tensor.h" OR NOT EXISTS "${_root}/lib")
      message(FATAL_ERROR "No LibTorch at ${_root}: include/ATen/core/Tensor.h and lib/ are expected there. "
                          "Name an unpacked LibTorch or a Python installation's site-packages/torch.")
    endif()
    set(_libtorch_hints "${_root}")
    break()
  endif()
endforeach()
if(_libtorch_hints)
  set(LibTorch_DIR "${_libtorch_hints}" CACHE PATH "LibTorch's folder" FORCE)
else()
  find_path(LibTorch_DIR include/ATen/core/Tensor.h HINTS ${LibTorch_HINTS} PATH_SUFFIXES torch libtorch
            DOC "LibTorch's folder")
endif()
mark_as_advanced(LibTorch_DIR)

unset(LibTorch_VERSION)
foreach(_header IN ITEMS torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(LibTorch_DIR AND NOT LibTorch_VERSION AND EXISTS "${LibTorch_DIR}/include/${_header}")
    file(STRINGS "${LibTorch_DIR}/include/${_header}" _lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
    string(REGEX MATCHALL "[0-9]+" _numbers "${_lines}")
    string(REPLACE ";" "." LibTorch_VERSION "${_numbers}")
  endif()
endforeach()
foreach(_name IN ITEMS torch_cpu c10 torch_cuda c10_cuda)
  set(_libtorch_${_name} "${LibTorch_DIR}/lib/${CMAKE_SHARED_LIBRARY_PREFIX}${_name}${CMAKE_SHARED_LIBRARY_SUFFIX}")
endforeach()
if(NOT EXISTS "${_libtorch_torch_cpu}" OR NOT EXISTS "${_libtorch_c10}")
  set(LibTorch_DIR LibTorch_DIR-NOTFOUND)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch REQUIRED_VARS LibTorch_DIR VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "Name a LibTorch with -DVLALIGN_TORCH=DIR, or run cmake/setup.sh in vlalign's checkout, which fetches one.")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  # Torch carries its own copy of fmt. As an include folder it would shadow the system's (and break the system's spdlog),
  # so the compiler is shown a folder of links to everything else, and Torch's own folder only as the last resort.
  set(_links "${CMAKE_BINARY_DIR}/libtorch-include")
  file(GLOB _entries RELATIVE "${LibTorch_DIR}/include" "${LibTorch_DIR}/include/*")
  list(REMOVE_ITEM _entries fmt)
  file(MAKE_DIRECTORY "${_links}")
  foreach(_entry IN LISTS _entries)
    file(CREATE_LINK "${LibTorch_DIR}/include/${_entry}" "${_links}/${_entry}" SYMBOLIC)
  endforeach()

  add_library(LibTorch::c10 SHARED IMPORTED)
  set_target_properties(LibTorch::c10 PROPERTIES IMPORTED_LOCATION "${_libtorch_c10}")
  add_library(LibTorch::torch_cpu SHARED IMPORTED)
  set_target_properties(LibTorch::torch_cpu PROPERTIES IMPORTED_LOCATION "${_libtorch_torch_cpu}")

  find_package(Threads REQUIRED)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE "${_links}" "${_links}/torch/csrc/api/include")
  target_compile_options(LibTorch::LibTorch INTERFACE "SHELL:-idirafter \"${LibTorch_DIR}/include\"")
  target_compile_features(LibTorch::LibTorch INTERFACE cxx_std_20)
  target_link_libraries(LibTorch::LibTorch INTERFACE LibTorch::torch_cpu LibTorch::c10 Threads::Threads)

  # The CUDA kernels register themselves when loaded; no symbol asks for them, so the linker must be told to keep them.
  set(_keep "-Wl,--push-state,--no-as-needed,${_libtorch_torch_cuda},${_libtorch_c10_cuda},--pop-state")
  set(LibTorch_CUDA OFF)
  if(LIBTORCH_CUDA STREQUAL "AUTO" AND EXISTS "${_libtorch_torch_cuda}")
    include(CheckCXXSourceCompiles)
    set(CMAKE_REQUIRED_LIBRARIES LibTorch::torch_cpu LibTorch::c10 "${_keep}")
    string(MAKE_C_IDENTIFIER "libtorch_cuda_links_${LibTorch_DIR}" _links_cuda)
    check_cxx_source_compiles("int main() {}" ${_links_cuda})
    unset(CMAKE_REQUIRED_LIBRARIES)
    set(LibTorch_CUDA ${${_links_cuda}})
  elseif(LIBTORCH_CUDA AND NOT LIBTORCH_CUDA STREQUAL "AUTO")
    set(LibTorch_CUDA ON)
  endif()
  if(LibTorch_CUDA)
    target_link_libraries(LibTorch::LibTorch INTERFACE "${_keep}")
  endif()
endif()
