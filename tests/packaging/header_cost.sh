#!/usr/bin/env bash
# What including each public header costs, beside <torch/torch.h>, and whether it keeps the rule that light headers reach
# nothing heavy. Each header is compiled on its own.
#
#   header_cost.sh INCLUDE_DIR COMPILER FLAG...       or: ctest --test-dir build -R HeadersStayLight -V
#
# Times are CPU seconds of one run, for people to read. A header of LibTorch's that most of ours reach is compiled once: where a
# row says "+ Tensor.h" or "+ module.h", add that one's time. What fails is a header that doesn't compile alone, one that
# reaches what it must not, and a vlalign.hpp that preprocesses to more than half the lines of <torch/torch.h>.
set -uo pipefail
include_dir=$1
shift
compile=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
TIMEFORMAT='%U %S'
failures=0

# What no public header may reach, and what a light one, which is all outside nn, vla/fusion and vla/head, may not either.
readonly never='/include/(fmt|spdlog|CLI|nlohmann|eigen3|unicode|libxml2|webp)/|/include/(png|jpeglib|archive|zlib)\.h$|/torch/torch\.h$'
readonly heavy="$never"'|/torch/types\.h$|/ATen/ATen\.h$|/torch/(nn|optim|data|serialize|csrc/jit|csrc/autograd)/|/torch/(nn|optim|data|serialize)\.h$'

# reach: the files that $work/only.cpp reaches, in $work/reached.
reach() {
  "${compile[@]}" -M -x c++ "$work/only.cpp" 2>/dev/null | tr -d '\\' | tr -s ' \n' '\n' | grep -v ':$' | grep -v "^$work/" | grep . >"$work/reached"
}

# seconds FLAG...: compiles $work/only.cpp, prints the CPU seconds taken; fails where it doesn't compile.
seconds() {
  local taken status=0
  taken=$({ time "${compile[@]}" -fsyntax-only "$@" -x c++ "$work/only.cpp" 2>"$work/errors"; } 2>&1) || status=$?
  awk '{printf "%.2f", $1 + $2}' <<<"$taken"
  return "$status"
}

lines() { "${compile[@]}" -E -x c++ "$1" | grep -cv '^#'; }

# row HEADER REGEX: one line of the table; REGEX is what the header must not reach.
row() {
  local once cost failed='' behind='' flags=()
  echo "#include <$1>" >"$work/only.cpp"
  reach
  for once in ATen/core/Tensor.h torch/nn/module.h; do
    if [[ -e $work/${once##*/}.gch ]] && grep -q "/$once\$" "$work/reached"; then
      behind="+ ${once##*/}" flags=(-include "$work/${once##*/}")
    fi
  done
  cost=$(seconds "${flags[@]}") || failed=yes
  printf '%-52s %6.2f s %6d  %s\n' "$1" "$cost" "$(wc -l <"$work/reached")" "$behind"
  if [[ -n $failed ]]; then
    printf '  FAILED: it does not compile alone\n'
    head -n 20 "$work/errors"
    failures=$((failures + 1))
  elif grep -Eq "$2" "$work/reached"; then
    printf '  FAILED: it reaches %s\n' "$(grep -E "$2" "$work/reached" | head -n 3 | tr '\n' ' ')"
    failures=$((failures + 1))
  fi
}

printf '%-52s %8s %6s\n' header CPU files
row torch/torch.h '^$'
for header in ATen/core/Tensor.h torch/nn/module.h; do
  row "$header" '^$'
  cp "$work/only.cpp" "$work/${header##*/}"
  "${compile[@]}" -x c++-header -o "$work/${header##*/}.gch" "$work/${header##*/}" || exit 1
done
headers=0
while read -r header; do
  case $header in
    vlalign/nn/* | vlalign/vla/fusion/* | vlalign/vla/head/*) row "$header" "$never" ;;
    *) row "$header" "$heavy" ;;
  esac
  headers=$((headers + 1))
done < <(cd "$include_dir" && find vlalign -name '*.hpp' | sort)

echo '#include <torch/torch.h>' >"$work/torch.cpp"
echo '#include <vlalign/vlalign.hpp>' >"$work/umbrella.cpp"
ours=$(lines "$work/umbrella.cpp")
theirs=$(lines "$work/torch.cpp")
printf '\npreprocessed lines: vlalign/vlalign.hpp %d, torch/torch.h %d\n' "$ours" "$theirs"
if ((ours == 0 || 2 * ours > theirs)); then
  echo '  FAILED: vlalign.hpp must stay under half of torch.h'
  failures=$((failures + 1))
fi
printf '%d headers, %d failures\n' "$headers" "$failures"
((failures == 0 && headers > 0))
