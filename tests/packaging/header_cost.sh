#!/usr/bin/env bash
# What including each public header costs, beside <torch/torch.h>, and whether it keeps the rule that light headers reach
# nothing heavy. Each header is compiled on its own.
#
#   header_cost.sh INCLUDE_DIR COMPILER FLAG...       or: ctest --test-dir build -R HeadersStayLight -V
#
# Times are for people to read (CPU seconds of one run; those of nn, vla/fusion and vla/head come behind a precompiled
# <torch/nn/module.h>); what fails is a header that doesn't compile alone, one that reaches what it must not, and a vlalign.hpp
# that preprocesses to more than half the lines of <torch/torch.h>.
set -uo pipefail
include_dir=$1
shift
compile=("$@" -x c++ -fsyntax-only)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
TIMEFORMAT='%U %S'
failures=0

# What no public header may reach, and what a light one, which is all outside nn, vla/fusion and vla/head, may not either.
readonly never='/include/(fmt|spdlog|CLI|nlohmann|eigen3|unicode|libxml2|webp)/|/include/(png|jpeglib|archive|zlib)\.h$|/torch/torch\.h$'
readonly heavy="$never"'|/torch/types\.h$|/ATen/ATen\.h$|/torch/(nn|optim|data|serialize|csrc/jit|csrc/autograd)/|/torch/(nn|optim|data|serialize)\.h$'

# seconds FILE FLAG...: compiles it alone, leaves the files it reaches in $work/reached, prints the CPU seconds taken.
seconds() {
  local taken
  taken=$({ time "${compile[@]}" "${@:2}" -MD -MF "$work/depends" "$1" 2>"$work/errors" || echo failed >"$work/failed"; } 2>&1)
  tr -d '\\' <"$work/depends" | tr -s ' \n' '\n' | grep -v ':$' | grep -v "^$1\$" >"$work/reached"
  awk '{printf "%.2f", $1 + $2}' <<<"$taken"
}

lines() { "${compile[@]/-fsyntax-only/-E}" "$1" | grep -cv '^#'; }

# row HEADER REGEX FLAG...: one line of the table; REGEX is what the header must not reach.
row() {
  echo "#include <$1>" >"$work/only.cpp"
  rm -f "$work/failed"
  local cost
  cost=$(seconds "$work/only.cpp" "${@:3}")
  printf '%-44s %6.2f s %6.3f %6d\n' "$1" "$cost" "$(awk "BEGIN {print $cost / $torch}")" "$(wc -l <"$work/reached")"
  if [[ -e $work/failed ]]; then
    printf '  FAILED: it does not compile alone\n'
    head -n 20 "$work/errors"
    failures=$((failures + 1))
  elif grep -Eq "$2" "$work/reached"; then
    printf '  FAILED: it reaches %s\n' "$(grep -E "$2" "$work/reached" | head -n 3 | tr '\n' ' ')"
    failures=$((failures + 1))
  fi
}

echo '#include <torch/torch.h>' >"$work/torch.cpp"
torch=$(seconds "$work/torch.cpp")
if [[ -e $work/failed ]]; then
  echo '<torch/torch.h> itself does not compile'
  cat "$work/errors"
  exit 1
fi
printf '%-44s %8s %6s %6s\n' header CPU ratio files
printf '%-44s %6.2f s %6.3f %6d\n' torch/torch.h "$torch" 1 "$(wc -l <"$work/reached")"

echo '#include <torch/nn/module.h>' >"$work/nn.hpp"
"$@" -x c++-header -o "$work/nn.hpp.gch" "$work/nn.hpp" || exit 1
headers=0
while read -r header; do
  case $header in
    vlalign/nn/* | vlalign/vla/fusion/* | vlalign/vla/head/*) row "$header" "$never" -include "$work/nn.hpp" ;;
    *) row "$header" "$heavy" ;;
  esac
  headers=$((headers + 1))
done < <(cd "$include_dir" && find vlalign -name '*.hpp' | sort)

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
