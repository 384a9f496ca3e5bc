#!/usr/bin/env bash
# Builds and runs a program against a staged installation with nothing but pkg-config:
#
#   pkg_config_test.sh BUILD_DIR WORK_DIR COMPILER LIBDIR PROGRAM.cpp
set -euo pipefail
build=$1 work=$2 compiler=$3 libdir=$4 source=$5
rm -rf "$work"
mkdir -p "$work"
DESTDIR=$work/stage cmake --install "$build" --prefix /usr >"$work/install.log"
! grep -rlF "$build" "$work/stage/usr/include" "$work/stage/usr/$libdir/cmake" "$work/stage/usr/$libdir/pkgconfig" ||
  { echo "installed files name the build's folder" && exit 1; }
! strings -a "$work/stage/usr/$libdir/libvlalign.so" | grep -F "$build" ||
  { echo "the installed library names the build's folder" && exit 1; }
export PKG_CONFIG_PATH=$work/stage/usr/$libdir/pkgconfig
"$compiler" -c "$source" -o "$work/main.o" $(pkg-config --cflags vlalign)
"$compiler" "$work/main.o" -o "$work/main" $(pkg-config --libs vlalign)
"$work/main"
