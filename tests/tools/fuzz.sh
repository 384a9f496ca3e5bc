#!/usr/bin/env bash
# Builds the fuzzers of tests/fuzz with clang and runs each of them, its share of MINUTES (60 in all if not said):
#
#   bash tests/tools/fuzz.sh [MINUTES [FUZZER...]]
#
# Needs Debian's clang (with libclang-rt-14-dev, which comes with it) beside what cmake/setup.sh installs.
#   VLALIGN_FUZZ_BUILD=DIR   build folder, by default build-fuzz; its corpus/ is kept, so that the next run goes on
#   VLALIGN_TORCH=DIR        as for cmake/setup.sh
# Ends nonzero when there is a finding, whose input is left in DIR/findings.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly minutes=${1:-60} build=$(realpath -m "${VLALIGN_FUZZ_BUILD:-build-fuzz}") fixtures=tests/fixtures
readonly corpus=$build/corpus logs=$build/logs findings=$build/findings
fuzzers=("${@:2}")
if ((${#fuzzers[@]} == 0)); then
  for source in tests/fuzz/*_fuzz.cpp; do fuzzers+=("$(basename "$source" .cpp)"); done
fi

build_fuzzers() {
  cmake --log-level=NOTICE -S . -B "$build" -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1 -D_GLIBCXX_ASSERTIONS" -DCMAKE_UNITY_BUILD=ON -DVLALIGN_BUILD_FUZZERS=ON \
    -DVLALIGN_SANITIZE=fuzzer-no-link,address,undefined -DVLALIGN_INSTALL=OFF -DVLALIGN_WERROR=OFF \
    -DLIBTORCH_CUDA=OFF ${VLALIGN_TORCH:+"-DVLALIGN_TORCH=$VLALIGN_TORCH"}
  cmake --build "$build" --parallel "${VLALIGN_FUZZ_JOBS:-$(nproc)}" --target "${fuzzers[@]}"
}

# seed FUZZER NAME [PREFIX] < bytes: an input to start from.
seed() {
  mkdir -p "$build/seeds/$1"
  { printf '%s' "${3:-}" && cat; } >"$build/seeds/$1/$2"
}

# joined FILE FILE: two files and the separator between them.
joined() { cat "$1" && printf '\n---\n' && cat "$2"; }

# A safetensors file: its header, then so many bytes of data.
safetensors() {
  local size=${#1}
  printf "\\x$(printf %02x $((size % 256)))\\x$(printf %02x $((size / 256)))\\0\\0\\0\\0\\0\\0%s" "$1"
  head --bytes "$2" /dev/zero
}

make_seeds() {
  local file name
  rm -rf "$build/seeds"
  safetensors '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"U8","shape":[3],"data_offsets":[24,27]},"c":{"dtype":"I64","shape":[],"data_offsets":[27,35]}}' 35 |
    seed safetensors_fuzz three
  safetensors '{"a":{"dtype":"BF16","shape":[0,4],"data_offsets":[0,0]},"b":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}' 8 |
    seed safetensors_fuzz empty_tensor
  seed safetensors_fuzz real <$fixtures/train/figures.safetensors

  for file in $fixtures/model/*/open_clip_config.json tests/fuzz/configs/open_clip_*; do
    seed config_fuzz "${file//\//_}" o <"$file"
  done
  for file in tests/fuzz/configs/hugging_face_*; do  # config.json and preprocessor_config.json
    seed config_fuzz "${file//\//_}" h <"$file"
  done
  printf '{"weight_map": {"a.x": "a", "module.y": "a"}}' | seed config_fuzz index_a i
  printf '{"weight_map": {"a.x": "a", "b.x": "b", "module.y": "b"}}' | seed config_fuzz index_both i

  printf '{"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_attention_heads": 2}' | seed config_fuzz bert t
  printf '{"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_inner": null, "eos_token_id": 5}' | seed config_fuzz gpt2 t

  seed tokenizer_files_fuzz merges m < <(gzip --decompress --stdout $fixtures/tokenizer/small_vocab.txt.gz)
  seed tokenizer_files_fuzz merges_gz m <$fixtures/tokenizer/small_vocab.txt.gz
  joined $fixtures/tokenizer/hugging_face/{vocab.json,merges.txt} | seed tokenizer_files_fuzz vocab v
  for file in $fixtures/tokenizer/tokenizer*.json; do
    seed tokenizer_files_fuzz "$(basename "$file")" t <"$file"
  done

  for file in $fixtures/tokenizers/*/tokenizer.json; do
    joined "$file" "$(dirname "$file")/tokenizer_config.json" |
      seed tokenizer_files_fuzz "$(basename "$(dirname "$file")")" t
  done
  joined $fixtures/tokenizers/siglip/{tokenizer_config.json,spiece.model} | seed tokenizer_files_fuzz siglip s
  printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##b\ncaf\n\n---\n{"tokenizer_class": "BertTokenizer", "do_lower_case": true}' |
    seed tokenizer_files_fuzz word_piece w
  printf 'm#version: 0.2\na b</w>\nc a\n' | seed tokenizer_files_fuzz tiny

  mkdir -p "$build/seeds/text_fuzz"
  sed -n 's/^.*{"text":"\(.*\)","clip":.*$/\1/p' $fixtures/tokenizer/captions.json |
    split --lines 1 --suffix-length 4 - "$build/seeds/text_fuzz/"
}

run_fuzzer() {
  local name=$1 status=0 longest=40000 cpu
  if [[ $name == text_fuzz ]]; then longest=2000; fi
  mkdir -p "$corpus/$name" "$logs" "$findings/$name"
  local -x ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0:handle_abort=1 UBSAN_OPTIONS=print_stacktrace=1
  local -x OMP_NUM_THREADS=1
  local TIMEFORMAT=%U
  local command=("$build/bin/$name" -max_total_time="$2" -timeout=10 -rss_limit_mb=4096 -malloc_limit_mb=1024
    -max_len="$longest" -len_control=20 -use_value_profile=1 -print_final_stats=1
    -dict="tests/fuzz/dictionaries/$name.dict" -artifact_prefix="$findings/$name/" "$corpus/$name" "$build/seeds/$name")
  cpu=$({ time "${command[@]}" >"$logs/$name.log" 2>&1; } 2>&1) || status=$?
  local runs edges all
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$name.log")
  edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$logs/$name.log" | tail -n 1)
  all=$(sed -n 's/.*Loaded 1 PC tables (\([0-9]*\) PCs).*/\1/p' "$logs/$name.log")
  printf '%-22s %8s s of CPU  %10s executions  %6s of %s edges  %s\n' "$name" "$cpu" "${runs:-?}" "${edges:-?}" \
    "${all:-?}" "$( ((status == 0)) && echo 'no finding' || echo "FINDING: see $logs/$name.log and $findings/$name")"
  return "$status"
}

build_fuzzers
make_seeds
failed=0
for fuzzer in "${fuzzers[@]}"; do
  run_fuzzer "$fuzzer" $((minutes * 60 / ${#fuzzers[@]})) || failed=1
done
exit "$failed"
