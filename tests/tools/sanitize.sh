#!/usr/bin/env bash
# Builds the library and its tests with a sanitizer, and runs the tests of each room in one process:
#
#   bash tests/tools/sanitize.sh address [ROOM...]              AddressSanitizer and UndefinedBehaviorSanitizer; all rooms
#   CXX=clang++ bash tests/tools/sanitize.sh address [ROOM...]  the same with clang (Debian's clang brings its libraries)
#   bash tests/tools/sanitize.sh thread [ROOM...]               ThreadSanitizer; tokenizers, image, data, train, model and vla
#   bash tests/tools/sanitize.sh leak [ROUNDS]                  LeakSanitizer over rounds of train, evaluate, destroy; 1000
#
# Needs what cmake/setup.sh installs. Builds in build-SANITIZER-COMPILER, which is kept. Ends nonzero when a room fails or a
# sanitizer finds something; each room's output is in the build folder's logs/.
#   VLALIGN_JOBS=N    compilers at once, by default as many as there are cores
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
}

readonly kind=${1:-} compiler=${CXX:-g++}
readonly build=$PWD/build-$kind-$(basename "$compiler") gtest_filter=${GTEST_FILTER:-*}
shift || usage

build_targets() {
  local sanitizers=$1
  shift
  cmake --log-level=NOTICE -S . -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1" -DVLALIGN_SANITIZE="$sanitizers" -DVLALIGN_INSTALL=OFF -DVLALIGN_WERROR=OFF \
    -DCMAKE_UNITY_BUILD=ON \
    ${VLALIGN_TORCH:+"-DVLALIGN_TORCH=$VLALIGN_TORCH"} ${VLALIGN_ARROW:+"-DVLALIGN_ARROW=$VLALIGN_ARROW"}
  mkdir -p "$build/share" "$build/logs"
  cp -r --update "${VLALIGN_BUILD:-build}/share/vlalign" "$build/share/"
  cmake --build "$build" --parallel "${VLALIGN_JOBS:-$(nproc)}" --target "$@"
}

# LibTorch is not instrumented: what it does between threads, and what it keeps until the process ends, is not ours to judge.
suppressions() {
  cat >"$build/thread.supp" <<'END'
called_from_lib:libtorch_cpu.so
called_from_lib:libc10.so
called_from_lib:libgomp
race:libtorch_cpu.so
race:libc10.so
race:libgomp
mutex:libtorch_cpu.so
END
  cat >"$build/leak.supp" <<'END'
leak:libtorch_cpu.so
leak:libgomp
END
}

run_room() {
  local room=$1 start=$SECONDS status=0
  OMP_NUM_THREADS=1 "$build/bin/vlalign_${room}_tests" --gtest_filter="$gtest_filter" --gtest_brief=1 >"$build/logs/$room.log" 2>&1 || status=$?
  printf '%-10s %5d s  %s\n' "$room" $((SECONDS - start)) \
    "$(grep -a -E '^\[  (PASSED|FAILED)  \] [0-9]+ test' "$build/logs/$room.log" | tail -n 2 | tr '\n' ' ')"
  if ((status != 0)); then
    echo "  FAILED with status $status: see $build/logs/$room.log"
    grep -a -E '^\[  FAILED  \]|SUMMARY: |runtime error: ' "$build/logs/$room.log" | sort -u | head -n 20
  fi
  return "$status"
}

run_rooms() {
  local room failed=0
  for room in "$@"; do run_room "$room" || failed=1; done
  return "$failed"
}

all_rooms() {
  local file
  for file in tests/*/*_test.cpp; do basename "$(dirname "$file")"; done | sort -u
}

test_programs() {
  local room
  for room in "$@"; do echo "vlalign_${room}_tests"; done
}

export UBSAN_OPTIONS=print_stacktrace=1
case $kind in
  address)
    rooms=("$@")
    if ((${#rooms[@]} == 0)); then mapfile -t rooms < <(all_rooms); fi
    mapfile -t programs < <(test_programs "${rooms[@]}")
    build_targets address,undefined "${programs[@]}"
    export ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0:allocator_may_return_null=1
    run_rooms "${rooms[@]}"
    ;;
  thread)
    rooms=("$@")
    if ((${#rooms[@]} == 0)); then rooms=(tokenizers image data train model vla); fi
    mapfile -t programs < <(test_programs "${rooms[@]}")
    build_targets thread "${programs[@]}"
    suppressions
    export TSAN_OPTIONS="suppressions=$build/thread.supp:ignore_noninstrumented_modules=1:halt_on_error=0:exitcode=66"
    run_rooms "${rooms[@]}"
    ;;
  leak)
    build_targets address,undefined vlalign_rounds
    suppressions
    export ASAN_OPTIONS=detect_leaks=1:detect_odr_violation=0 LSAN_OPTIONS="suppressions=$build/leak.supp"
    OMP_NUM_THREADS=1 "$build/bin/vlalign_rounds" "${1:-1000}"
    ;;
  *) usage ;;
esac
