#!/usr/bin/env bash
# Builds the library for 64-bit ARM on a PC, and runs the tests of each room under qemu, once on each of two processors:
#
#   bash tests/tools/aarch64.sh [ROOM...]   by default core, image, tokenizers, text, model, kernels and nn
#
# On Debian 12, as root or with sudo: installs a compiler for ARM and qemu, and unpacks Debian's arm64 packages and aarch64's
# LibTorch into build-aarch64, so that this machine's own packages stay as they are. build-aarch64 is kept. Ends nonzero when
# a room fails or this machine's pixels are others; each room's output is in build-aarch64/logs/.
#   VLALIGN_JOBS=N     compilers at once, by default as many as there are cores
#   VLALIGN_CPUS=NAMES processors of qemu's, by default "max cortex-a72": all that ARM has, and what it had in 2016
#   GTEST_FILTER=TESTS these tests alone
set -euo pipefail
cd "$(dirname "$0")/../.."

# Left out is a test that starts itself as several processes: qemu runs no program that another starts.
readonly build=$PWD/build-aarch64 gtest_filter=${GTEST_FILTER:-*-SharedBatchNorm.IsThatOfLibTorchOverAllRanksRows}
readonly sysroot=$build/sysroot
read -ra cpus <<<"${VLALIGN_CPUS:-max cortex-a72}"
rooms=("$@")
if ((${#rooms[@]} == 0)); then rooms=(core image tokenizers text model kernels nn); fi
programs=("${rooms[@]/%/_tests}")
programs=("${programs[@]/#/vlalign_}")
readonly cpus rooms programs

# What the library and its tests are linked with; Arrow and FFmpeg are left out.
readonly packages=(
  libc6-dev libgomp1 libstdc++6 libfmt-dev libspdlog-dev nlohmann-json3-dev libeigen3-dev libgtest-dev libjpeg-dev libpng-dev
  libwebp-dev libhwy-dev libdeflate-dev libarchive-dev zlib1g-dev libicu-dev libxml2-dev libsentencepiece-dev
  libcurl4-openssl-dev)

# An apt that knows of no installed package, so that it fetches all that these need.
fetch_packages() {
  local apt=$1
  mkdir -p "$apt"/{state/lists,cache/archives}/partial
  : >"$apt/status"
  cat >"$apt/conf" <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
END
  APT_CONFIG=$apt/conf apt-get -qq update
  APT_CONFIG=$apt/conf apt-get -qq install --download-only --yes --no-install-recommends "${packages[@]}"
}

make_sysroot() {
  local apt=$build/apt partial=$sysroot.partial package link
  if [[ -e $sysroot ]]; then return; fi
  rm -rf "$partial"
  mkdir -p "$partial"
  fetch_packages "$apt"
  for package in "$apt"/cache/archives/*.deb; do dpkg-deb --extract "$package" "$partial"; done
  find "$partial" -type l -lname '/*' | while read -r link; do ln -sfrn "$partial$(readlink "$link")" "$link"; done
  mv "$partial" "$sysroot"
  rm -rf "$apt"
}

build_programs() {
  local torch
  torch=$(echo "$build"/deps/libtorch-*/torch)
  cmake --log-level=NOTICE -S . -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake "-DVLALIGN_SYSROOT=$sysroot" \
    "-DVLALIGN_TORCH=$torch" -DCMAKE_DISABLE_FIND_PACKAGE_ArrowParquet=ON -DVLALIGN_BUILD_TOOL=OFF \
    -DVLALIGN_BUILD_EXAMPLES=OFF -DVLALIGN_INSTALL=OFF -DVLALIGN_WERROR=ON -DCMAKE_UNITY_BUILD=ON -DVLALIGN_QEMU_CPU="${cpus[0]}"
  cmake --build "$build" --parallel "${VLALIGN_JOBS:-$(nproc)}" --target "${programs[@]}" vlalign_pixel_digests
}

# on CPU PROGRAM [ARGUMENT...]
on() {
  local cpu=$1
  shift
  OMP_NUM_THREADS=1 qemu-aarch64 -L "$sysroot" -cpu "$cpu" "$@"
}

run_room() {
  local cpu=$1 room=$2 start=$SECONDS status=0 log
  log=$build/logs/$room-$cpu.log
  on "$cpu" "$build/bin/vlalign_${room}_tests" --gtest_filter="$gtest_filter" --gtest_brief=1 >"$log" 2>&1 || status=$?
  printf '%-10s %-12s %5d s  %s\n' "$room" "$cpu" $((SECONDS - start)) \
    "$(grep -a -E '^\[  (PASSED|SKIPPED|FAILED)  \] [0-9]+ test' "$log" | tail -n 3 | tr '\n' ' ')"
  if ((status != 0)); then
    echo "  FAILED with status $status: see $log"
    grep -a -E '^\[  FAILED  \]' "$log" | sort -u | head -n 20
  fi
  return "$status"
}

# Every picture of the fixtures, whole or damaged: decoded, resized and augmented here and under qemu.
compare_pixels() {
  local cpu pictures=$build/logs/pictures here=$build/logs/pixels failed=0
  bash cmake/setup.sh vlalign_pixel_digests || return
  find tests/fixtures/images tests/fixtures/odd_images -name '*.jpg' -o -name '*.png' -o -name '*.webp' | sort >"$pictures"
  "${VLALIGN_BUILD:-build}/bin/vlalign_pixel_digests" <"$pictures" >"$here" || return
  for cpu in "${cpus[@]}"; do
    on "$cpu" "$build/bin/vlalign_pixel_digests" <"$pictures" >"$here-$cpu" || failed=1
    printf '%-10s %-12s %s of %s results are those of this machine\n' pixels "$cpu" \
      "$(comm -12 <(sort "$here") <(sort "$here-$cpu") | wc -l)" "$(wc -l <"$here")"
    cmp "$here" "$here-$cpu" || failed=1
  done
  return "$failed"
}

VLALIGN_MACHINE=aarch64 VLALIGN_TORCH='' VLALIGN_GPU=0 VLALIGN_DEPS=$build/deps VLALIGN_BUILD=$build bash cmake/setup.sh
make_sysroot
build_programs
mkdir -p "$build/logs"
failed=0
for cpu in "${cpus[@]}"; do
  for room in "${rooms[@]}"; do run_room "$cpu" "$room" || failed=1; done
done
compare_pixels || failed=1
exit "$failed"
