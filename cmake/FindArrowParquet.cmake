# Finds Arrow with Parquet and makes the imported target ArrowParquet::ArrowParquet.
#
# Input: VLALIGN_ARROW (CMake or environment variable), a folder with include/ and the libraries, as Python's
# site-packages/pyarrow is. Without it a system's Arrow is taken, found by its own CMake files, and else the pyarrow that
# cmake/setup.sh fetched into .deps.
# Output: ArrowParquet_FOUND, ArrowParquet_VERSION, ArrowParquet_LIBRARY_DIR (for an rpath; empty for a system's).

set(ArrowParquet_LIBRARY_DIR "")
if(NOT VLALIGN_ARROW)
  find_package(Arrow CONFIG QUIET)
  find_package(Parquet CONFIG QUIET)
  if(NOT TARGET Parquet::parquet_shared)
    file(GLOB _folders "${CMAKE_CURRENT_LIST_DIR}/../.deps/pyarrow-*")
    list(SORT _folders COMPARE NATURAL ORDER DESCENDING)
  endif()
endif()

set(ArrowParquet_INCLUDE_DIR "")
if(TARGET Parquet::parquet_shared)
  set(ArrowParquet_VERSION "${Arrow_VERSION}")
  get_target_property(ArrowParquet_INCLUDE_DIR Arrow::arrow_shared INTERFACE_INCLUDE_DIRECTORIES)
else()
  foreach(_folder IN LISTS VLALIGN_ARROW _folders)
    # Wheels have no name without a version for the linker to look for.
    file(GLOB _arrow "${_folder}/libarrow.so.*")
    file(GLOB _parquet "${_folder}/libparquet.so.*")
    if(_arrow AND _parquet AND EXISTS "${_folder}/include/parquet/arrow/reader.h")
      list(GET _arrow 0 _arrow)
      list(GET _parquet 0 _parquet)
      get_filename_component(ArrowParquet_LIBRARY_DIR "${_folder}" REALPATH)
      set(ArrowParquet_INCLUDE_DIR "${_folder}/include")
      file(STRINGS "${_folder}/include/arrow/util/config.h" _line REGEX "define ARROW_VERSION_STRING ")
      string(REGEX MATCH "[0-9.]+" ArrowParquet_VERSION "${_line}")
      break()
    endif()
  endforeach()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  ArrowParquet REQUIRED_VARS ArrowParquet_INCLUDE_DIR VERSION_VAR ArrowParquet_VERSION
  REASON_FAILURE_MESSAGE "Without it vlalign opens no LeRobot datasets. cmake/setup.sh fetches one, and -DVLALIGN_ARROW=DIR names another.")

if(ArrowParquet_FOUND AND NOT TARGET ArrowParquet::ArrowParquet)
  add_library(ArrowParquet::ArrowParquet INTERFACE IMPORTED)
  if(TARGET Parquet::parquet_shared)
    target_link_libraries(ArrowParquet::ArrowParquet INTERFACE Parquet::parquet_shared Arrow::arrow_shared)
  else()
    foreach(_library IN ITEMS parquet arrow)
      add_library(ArrowParquet::${_library} SHARED IMPORTED)
      set_target_properties(ArrowParquet::${_library} PROPERTIES IMPORTED_LOCATION "${_${_library}}")
    endforeach()
    target_link_libraries(ArrowParquet::ArrowParquet INTERFACE ArrowParquet::parquet ArrowParquet::arrow)
    target_include_directories(ArrowParquet::ArrowParquet SYSTEM INTERFACE "${ArrowParquet_INCLUDE_DIR}")
  endif()
endif()
