#!/usr/bin/env bash
# Kills the program with SIGKILL at every system call that touches a file, of a run's second checkpoint and of saving a model
# over another. Each time a whole model must be there, old or new bit for bit; a resumed run must end with the bits of one
# that never stopped; strangers' files stay, and nothing of ours is left over. Needs a built program, strace and python3.
#
#   bash tests/tools/kill_every_call.sh [EVERY[/FIRST]] [PART]
#     EVERY: 1 for every call, 10/3 for every tenth from the third on, counted from 0; PART: checkpoint or save
set -euo pipefail
cd "$(dirname "$0")/../.."
every=${1:-1} parts=${2:-checkpoint save}
program=${VLALIGN_BUILD:-build}/bin/vlalign
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strangers=(notes.partial-1 x.partial-999 out.partial-1 out.partial-1-old y.vlalign.partial-z)
export OMP_NUM_THREADS=1

fail() {
  echo "kill_every_call: $*" >&2
  exit 1
}

put_strangers() { for name in "${strangers[@]}"; do echo mine >"$1/$name"; done; }
check_strangers() {
  for name in "${strangers[@]}"; do [[ $(cat "$1/$name") == mine ]] || fail "$1/$name is not as it was"; done
}
check_tidy() {
  local left
  left=$(find "$1" -name '*.vlalign.*' ! -name "y.vlalign.partial-z")
  [[ -z $left ]] || fail "left over: $left"
}
same() { diff -r "$1" "$2" >/dev/null 2>&1; }

# calls LOG FIRST LAST: the calls from the first that names the file FIRST to the last that names LAST, each as its name and
# how often the name came so far.
calls() {
  python3 - "$@" "$every" <<'PY'
import collections, re, sys
touching = set("open openat creat mkdir rename renameat renameat2 link unlink unlinkat rmdir write pwrite64 writev fsync "
               "fdatasync close flock ftruncate stat lstat fstat newfstatat statx readlink access faccessat faccessat2 "
               "getdents64 lseek fcntl".split())
log, first, last, every = sys.argv[1:]
count, found, begins, ends = collections.Counter(), [], [], []
for line in open(log, errors="replace"):
    name = re.match(r"(\w+)\(", line)
    if not name:
        continue
    count[name[1]] += 1
    found.append((name[1], count[name[1]]))
    if first in line:
        begins.append(len(found))
    if last in line:
        ends.append(len(found))
chosen = [call for call in found[begins[0] - 1 : ends[-1] + 4] if call[0] in touching]
step, _, start = every.partition("/")
for name, number in chosen[int(start or 0) :: int(step)]:
    print(name, number)
PY
}

# kill_at NAME NUMBER COMMAND...: counts whether the kill came before the end.
kill_at() {
  local name=$1 number=$2 status=0
  shift 2
  { strace -o /dev/null -e "trace=$name" -e "inject=$name:signal=KILL:when=$number" "$@" >/dev/null || status=$?; } 2>>"$work/log"
  case $status in
    137) kills=$((kills + 1)) ;;
    0) through=$((through + 1)) ;;
    *) fail "ended with $status: $*: $(tail -n 3 "$work/log")" ;;
  esac
}

python3 - "$work" <<'PY'
import struct, sys, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
with open(sys.argv[1] + "/pairs.tsv", "w") as table:
    table.write("filepath\ttitle\n")
    for i in range(8):
        rows = b"".join(b"\0" + bytes([30 * i, 255 - 30 * i, 90]) * 64 for _ in range(64))
        with open(f"{sys.argv[1]}/{i}.png", "wb") as png:
            png.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)) +
                      chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
        table.write(f"{i}.png\ta square of colour number {i}\n")
PY

train() {
  "${with[@]}" "$program" train --model tiny --data "$work/pairs.tsv" --out "$1" --steps 2 --batch-size 4 --lr 1e-2 \
    --checkpoint-every 1 --threads 1 "${@:2}" >/dev/null 2>>"$work/log"
}
with=() whole=$work/whole total=0
train "$whole"

# checkpoint_at NAME NUMBER: the run is killed, looked at and resumed.
checkpoint_at() {
  local run=$work/run place folder latest
  rm -rf "$run"
  with=(kill_at "$1" "$2")
  train "$run"
  with=()
  latest=$(cat "$run/checkpoints/latest")
  [[ -e $run/checkpoints/$latest ]] || fail "$1 $2: $latest is not there"
  for place in "$run"/checkpoints/step-????????; do
    same "$whole/checkpoints/${place##*/}" "$place" || fail "$1 $2: $place is not whole"
  done
  for folder in "$run" "$run/checkpoints"; do put_strangers "$folder"; done
  train "$run" --resume || fail "$1 $2: cannot be resumed: $(tail -n 2 "$work/log")"
  for folder in model checkpoints/step-00000001 checkpoints/step-00000002; do
    same "$whole/$folder" "$run/$folder" || fail "$1 $2: other bits in $folder after the resume"
  done
  [[ $(grep -c . "$run/metrics.jsonl") == 2 ]] || fail "$1 $2: metrics.jsonl has not each step once"
  for folder in "$run" "$run/checkpoints"; do check_strangers "$folder"; done
  check_tidy "$run"
}

checkpoints() {
  local name number started=$SECONDS
  with=(strace -o "$work/trace")
  train "$work/run"
  with=()
  same "$whole/model" "$work/run/model" || fail "two undisturbed runs differ"
  calls "$work/trace" step-00000002.vlalign.partial- latest.vlalign.partial- >"$work/calls"
  kills=0 through=0
  while read -r name number; do checkpoint_at "$name" "$number"; done <"$work/calls"
  echo "a checkpoint: $kills kills and $through runs that came through, each resumed to equal bits; $((SECONDS - started)) s"
  total=$((total + kills))
}

saves() {
  local name number started=$SECONDS old_model=$whole/checkpoints/step-00000001 place=$work/place out=$work/place/out
  local convert=("$program" convert --model "$whole/model" --to open_clip --out)
  "$program" convert --model "$old_model" --to open_clip --out "$work/old" >/dev/null
  "${convert[@]}" "$work/new" >/dev/null
  "$program" inspect --model "$work/old" >/dev/null && "$program" inspect --model "$work/new" >/dev/null
  same "$work/old" "$work/new" && fail "the two models are the same"
  mkdir "$place" && put_strangers "$place" && cp -r "$work/old" "$out"
  strace -o "$work/trace" "${convert[@]}" "$out" >/dev/null
  calls "$work/trace" "place/out" out.vlalign.partial- >"$work/calls"
  local old=0 new=0
  kills=0 through=0
  while read -r name number; do
    rm -rf "$place"/out "$place"/out.vlalign.* && cp -r "$work/old" "$out" # counted without leftovers
    kill_at "$name" "$number" "${convert[@]}" "$out" >/dev/null 2>>"$work/log"
    if same "$out" "$work/old"; then
      old=$((old + 1))
    elif same "$out" "$work/new"; then
      new=$((new + 1))
    else
      fail "$name $number: out is neither the old nor the new model"
    fi
    check_strangers "$place"
    if ((kills % 10 == 1)); then # the next writer takes over what this one left
      "${convert[@]}" "$out" >/dev/null
      same "$out" "$work/new" || fail "$name $number: the next writer did not come through"
      check_tidy "$place"
    fi
  done <"$work/calls"
  check_strangers "$place"
  echo "a save: $kills kills and $through that came through; $old times the old model, $new times the new; $((SECONDS - started)) s"
  total=$((total + kills))
}

for part in $parts; do ${part}s; done
echo "$total kills: a whole model each time, equal bits after each resume, strangers' files as they were"
