# What an installed vlalign consists of: headers, library, modules, program, and what CMake and pkg-config find it by.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/vlalign")
string(REGEX MATCH "^([0-9]+)[.]([0-9]+)" _ "${LibTorch_VERSION}")
set(LibTorch_VERSION_MAJOR "${CMAKE_MATCH_1}")
set(LibTorch_VERSION_MINOR "${CMAKE_MATCH_2}")
install(TARGETS vlalign EXPORT vlalignTargets FILE_SET HEADERS)
if(TARGET vlalign_tool)
  install(TARGETS vlalign_tool)
endif()
if(modules)
  install(TARGETS ${modules} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()
install(FILES "${PROJECT_BINARY_DIR}/share/vlalign/bpe_simple_vocab_16e6.txt.gz"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/vlalign" OPTIONAL)
install(EXPORT vlalignTargets NAMESPACE vlalign:: DESTINATION "${package_dir}")
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/vlalignConfig.cmake.in vlalignConfig.cmake INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(vlalignConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/vlalignConfig.cmake" "${PROJECT_BINARY_DIR}/vlalignConfigVersion.cmake"
              ${PROJECT_SOURCE_DIR}/cmake/FindLibTorch.cmake DESTINATION "${package_dir}")

# Where LibTorch lies is known when vlalign is built; the rest goes by the file's own place, so that the folder may be moved.
file(RELATIVE_PATH pkgconfig_to_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(cmake/vlalign.pc.in vlalign.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/vlalign.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
