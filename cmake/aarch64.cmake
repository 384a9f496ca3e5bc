# Builds for 64-bit ARM on another machine, with Debian's g++-aarch64-linux-gnu; tests run under qemu-aarch64.
#
# Input: VLALIGN_SYSROOT, a folder with Debian's arm64 packages unpacked, as tests/tools/aarch64.sh makes one.
#        VLALIGN_QEMU_CPU, what qemu's -cpu takes; by default max, all that it knows of ARM.

list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES VLALIGN_SYSROOT)
if(NOT VLALIGN_QEMU_CPU)
  set(VLALIGN_QEMU_CPU max)
endif()
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_SYSROOT "${VLALIGN_SYSROOT}")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L "${VLALIGN_SYSROOT}" -cpu "${VLALIGN_QEMU_CPU}")

# What runs is this machine's; what is linked is not.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${VLALIGN_SYSROOT}")
set(ENV{PKG_CONFIG_LIBDIR} "${VLALIGN_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${VLALIGN_SYSROOT}/usr/share/pkgconfig")
