#!/usr/bin/env bash
# Installs what vlalign's build needs, and builds it.
#
#   bash cmake/setup.sh              set-up only
#   bash cmake/setup.sh TARGET...    set-up, then builds these CMake targets ("all" builds everything)
#
# What is there already is left alone; an interrupted run is repaired by the next one.
#   VLALIGN_BUILD=DIR    build folder, by default build
#   VLALIGN_TORCH=DIR    an unpacked LibTorch or a Python's site-packages/torch, used instead of fetching one into .deps
#   VLALIGN_ARROW=DIR    a Python's site-packages/pyarrow, used instead of fetching one into .deps
#   VLALIGN_GPU=0|1      fetch LibTorch without or with its CUDA part, whatever this machine has
#   VLALIGN_DEPS=DIR     where what is fetched is unpacked, by default .deps
#   VLALIGN_MACHINE=M    the machine to fetch LibTorch for, where it is not this one: aarch64. Arrow is then left out
set -euo pipefail
torch=${VLALIGN_TORCH:+$(realpath -m -- "$VLALIGN_TORCH")}
arrow=${VLALIGN_ARROW:+$(realpath -m -- "$VLALIGN_ARROW")}
deps=${VLALIGN_DEPS:+$(realpath -m -- "$VLALIGN_DEPS")}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
deps=${deps:-$PWD/.deps}

readonly build=${VLALIGN_BUILD:-build}
readonly machine=${VLALIGN_MACHINE:-}
readonly torch arrow deps steps=$(($# > 0 ? 5 : 4))
readonly torch_version=2.11.0
readonly pyarrow_version=26.0.1
readonly open_clip_version=3.3.0
debian_packages=(
  g++ cmake ninja-build ccache pkg-config unzip python3-pip
  libfmt-dev libspdlog-dev libcli11-dev nlohmann-json3-dev libeigen3-dev libgtest-dev
  libjpeg-dev libpng-dev libwebp-dev libhwy-dev libdeflate-dev libarchive-dev zlib1g-dev libicu-dev libxml2-dev libsentencepiece-dev
  libcurl4-openssl-dev
  libavformat-dev libavcodec-dev libswscale-dev
  libharfbuzz-dev fonts-noto-color-emoji unicode-cldr-core
  libmujoco-dev libegl-dev libgl-dev libegl-mesa0 libgl1-mesa-dri)
# For tests/tools/lint.sh, where VLALIGN_LINT=1 asks for them.
if [[ ${VLALIGN_LINT:-} == 1 ]]; then debian_packages+=(clang-format-14 clang-tidy-14 doxygen); fi
# For tests/tools/aarch64.sh.
if [[ $machine == aarch64 ]]; then debian_packages+=(g++-aarch64-linux-gnu qemu-user); fi
readonly debian_packages

fail() {
  printf '\nsetup: %s\n' "$*" >&2
  exit 1
}

# step NUMBER NAME TEXT: the line a step prints.
step() { printf '[%s/%s] %s: %s\n' "$1" "$steps" "$2" "$3"; }

install_debian_packages() {
  local missing=() package as_root=()
  if ! command -v apt-get >/dev/null; then
    step 1 'Debian packages' "this is no Debian or Ubuntu; see to it that you have ${debian_packages[*]}"
    return
  fi
  for package in "${debian_packages[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    step 1 'Debian packages' "all ${#debian_packages[@]} are there"
    return
  fi
  step 1 'Debian packages' "installing ${missing[*]}"
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "not root and no sudo here. Have an administrator run: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300)
  "${as_root[@]}" -qq update || fail 'apt-get update failed; the lines above say why'
  "${as_root[@]}" -qq install --yes --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install the packages; the lines above say why"
}

# download FOLDER REQUIREMENT...: wheels from the Python package index. Their Python version doesn't matter: only the C++
# parts are used.
download() {
  local folder=$1 python platforms=()
  shift
  if [[ -n $machine ]]; then platforms=(--platform=manylinux{_2_{28..17},2014}_"$machine"); fi
  for python in /usr/bin/python3 python3; do
    if "$python" -m pip --version >/dev/null 2>&1; then
      TMPDIR=$folder "$python" -m pip download --disable-pip-version-check --no-cache-dir --only-binary=:all: \
        "${platforms[@]}" --python-version 3.11 --implementation cp --abi cp311 --dest "$folder" "$@" ||
        fail "pip could not download $*; the lines above say why. Run this again to go on"
      return
    fi
  done
  fail 'no python3 with pip here'
}

need_disk() {
  local megabytes
  megabytes=$(($(df --output=avail -k "$deps" | tail -n 1) / 1024))
  ((megabytes >= $1)) || fail "$deps has $megabytes MB of disk left; $2 needs $1 MB while it is being unpacked"
}

has_gpu() { [[ ${VLALIGN_GPU:-} == 1 || (-z ${VLALIGN_GPU:-} && -e /dev/nvidia0) ]]; }

# LibTorch and the CUDA libraries it loads are unpacked side by side, as in a Python installation: that is where its
# libraries look for them. Even its CPU part loads the CUDA runtime and its profiler.
fetch_libtorch() {
  local kind=cpu work=$deps/partial target wheel packages parts
  if [[ -n $torch ]]; then
    [[ -e $torch/include/ATen/core/Tensor.h && -d $torch/lib ]] ||
      fail "VLALIGN_TORCH=$torch holds no LibTorch: include/ATen/core/Tensor.h and lib/ are expected there"
    step 2 LibTorch "$torch, as VLALIGN_TORCH says"
    return
  fi
  if has_gpu; then kind=cuda; fi
  for target in "$deps/libtorch-$torch_version-cuda" "$deps/libtorch-$torch_version-$kind"; do
    if [[ -e $target ]]; then
      step 2 LibTorch "is there (${target#"$PWD/"})"
      return
    fi
  done

  rm -rf "$work"
  mkdir -p "$work/wheels" "$work/libtorch"
  if [[ $kind == cpu ]]; then
    step 2 LibTorch "fetching $torch_version for the CPU: 550 MB to download, 500 MB on disk"
    need_disk 1200 LibTorch
  else
    step 2 LibTorch "fetching $torch_version with CUDA: 2.5 GB to download, 4 GB on disk"
    need_disk 8000 LibTorch
  fi
  download "$work/wheels" --no-deps "torch==$torch_version"
  wheel=$(echo "$work"/wheels/torch-*.whl)
  if [[ $kind == cpu ]]; then
    packages=(--no-deps nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)
    parts=('torch/lib/lib'{c10,torch_cpu}'.so' 'torch/lib/libgomp*' 'nvidia/*/lib/lib'{cudart,cupti}'.so*')
    parts+=('torch/lib/lib'{arm_compute,nvpl,gfortran}'*')  # aarch64's
  else
    # The CUDA packages the wheel asks for, and no other part of its Python side.
    mapfile -t packages < <(unzip -p "$wheel" '*.dist-info/METADATA' |
      sed -n 's/^Requires-Dist: \(\(nvidia-\|cuda-toolkit\)[^;]*\).*/\1/p')
    parts=('torch/lib/*' 'nvidia/*/lib/*' 'nvidia/*/include/*')  # the headers for NCCL's
  fi
  download "$work/wheels" "${packages[@]}"

  echo '      unpacking ...'
  for wheel in "$work"/wheels/{torch-,nvidia_}*.whl; do
    # 11: none of these files in it, as for the packages that only name others
    unzip -q "$wheel" 'torch/include/*' "${parts[@]}" -d "$work/libtorch" 2>"$work/unzip" || (($? == 11)) ||
      fail "cannot unpack $wheel: $(<"$work/unzip")"
    rm "$wheel"
  done
  mv "$work/libtorch" "$target"
  rm -rf "$work"
}

fetch_vocabulary() {
  local name=bpe_simple_vocab_16e6.txt.gz folder=$build/share/vlalign
  if [[ -e $folder/$name ]]; then
    step 3 "CLIP's vocabulary" "is there ($folder/$name)"
    return
  fi
  step 3 "CLIP's vocabulary" "fetching open_clip_torch $open_clip_version, 1.5 MB"
  local work=$folder/partial
  rm -rf "$work"
  mkdir -p "$work"
  download "$work" --quiet --no-deps "open_clip_torch==$open_clip_version"
  unzip -p "$work"/open_clip_torch-*.whl "open_clip/$name" >"$work/$name"
  gzip --test "$work/$name" || fail "the $name of open_clip_torch $open_clip_version is damaged; run this again"
  mv "$work/$name" "$folder/$name"
  rm -rf "$work"
}

# Arrow with Parquet, which Debian lacks: Python's package holds its libraries and headers.
fetch_arrow() {
  local target=$deps/pyarrow-$pyarrow_version work=$deps/partial
  if [[ -n $machine ]]; then
    step 4 Arrow "left out for $machine"
    return
  fi
  if [[ -n $arrow ]]; then
    [[ -e $arrow/include/parquet/arrow/reader.h ]] || fail "VLALIGN_ARROW=$arrow holds no include/parquet/arrow/reader.h"
    step 4 Arrow "$arrow, as VLALIGN_ARROW says"
    return
  fi
  if [[ -e $target ]]; then
    step 4 Arrow "is there (${target#"$PWD/"})"
    return
  fi
  step 4 Arrow "fetching pyarrow $pyarrow_version: 55 MB to download, 70 MB on disk"
  need_disk 300 Arrow
  rm -rf "$work"
  mkdir -p "$work"
  download "$work" --quiet --no-deps "pyarrow==$pyarrow_version"
  unzip -q "$work"/pyarrow-*.whl 'pyarrow/include/*' 'pyarrow/lib'{arrow,parquet}'.so.*' -d "$work" ||
    fail "the wheel of pyarrow $pyarrow_version is damaged; run this again"
  mv "$work/pyarrow" "$target"
  rm -rf "$work"
}

# One compiler process for each core, but no more than memory allows: a source that includes torch/nn takes 1.5 GB.
compile_jobs() {
  local by_memory
  by_memory=$(($(awk '/MemAvailable/ {print $2}' /proc/meminfo) / 1500000))
  by_memory=$((by_memory > 0 ? by_memory : 1))
  echo $(($(nproc) < by_memory ? $(nproc) : by_memory))
}

build_targets() {
  local grouped=()
  step 5 Build "$* in $build"
  # Sources compiled in groups take half the time. Whoever edits one switches it off: cmake -DCMAKE_UNITY_BUILD=OFF build
  [[ -e $build/CMakeCache.txt ]] || grouped=(-DCMAKE_UNITY_BUILD=ON)
  cmake --log-level=NOTICE -S . -B "$build" -G Ninja -U LibTorch_DIR "-DVLALIGN_TORCH=$torch" "-DVLALIGN_ARROW=$arrow" \
    "${grouped[@]}" ${VLALIGN_WERROR:+"-DVLALIGN_WERROR=$VLALIGN_WERROR"} ||
    fail 'CMake could not configure the build; the lines above say why'
  NINJA_STATUS='      [%f/%t] ' cmake --build "$build" --parallel "$(compile_jobs)" --target "$@" ||
    fail 'the build failed; the lines above say why'
}

mkdir -p "$deps"
exec {lock}>"$deps/lock"
flock --nonblock "$lock" || {
  echo 'waiting for another set-up of this checkout to end ...'
  flock "$lock"
}
install_debian_packages
fetch_libtorch
fetch_vocabulary
fetch_arrow
if (($# > 0)); then build_targets "$@"; fi
