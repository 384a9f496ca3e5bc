#!/usr/bin/env bash
# Trains a small CLIP on emoji and their names, on this machine, and shows what came of it.
#
#   bash examples/quickstart.sh [--language LANG] [--seed N] [--out RUN]
#
#   --language LANG   captions in any language of the CLDR, e.g. zh, de, sw (default: en)
#   --seed N          of the weights, the order and the augmentation (default: 1)
#   --out RUN         run folder (default: runs/quickstart, runs/quickstart-LANG)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
language=en seed=1 out=
while (($# > 0)); do
  case $1 in
    --language) language=${2:?--language needs a language, e.g. zh} ;;
    --seed) seed=${2:?--seed needs a number} ;;
    --out) out=${2:?--out needs a folder} ;;
    --help | -h) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit ;;
    *) echo "quickstart: unknown argument $1; see bash examples/quickstart.sh --help" >&2 && exit 2 ;;
  esac
  shift 2
done
if [[ -z $out ]]; then out=runs/quickstart; [[ $language == en ]] || out+=-$language; fi
bin=${VLALIGN_BUILD:-build}/bin data=${VLALIGN_BUILD:-build}/data/emoji-$language

bash cmake/setup.sh vlalign_tool emoji_pairs

printf '\n== Pairs ==\n'
"$bin/emoji_pairs" --language "$language" --out "$data"

printf '\n== Training ==\n'
"$bin/vlalign" train --model tiny --data "$data/train.jsonl" --out "$out" --resume --seed "$seed" --checkpoint-every 100 \
  --steps 240 --batch-size 256 --lr 2e-3 --warmup 20 --grad-clip 1 --precision bf16 --loss dcl \
  --title "A CLIP trained on emoji ($language)" \
  --val "unseen_combinations=$data/combinations.jsonl" \
  --val-note "Pictures set aside at random. More than half differ from a training picture only in skin tone or gender, so \
this asks how well known concepts recombine." \
  --val "unseen_concepts=$data/concepts.jsonl" \
  --val-note "Whole families set aside: nothing of these concepts, in any skin tone or gender, was trained on; flags are left \
out. This asks what is known of new things, and is much harder."

printf '\n== Searching in words ==\n'
case $language in
  en) searches=('red fruit' 'bicycle' 'crying') ;;
  zh) searches=('红色水果' '自行车' '哭') ;;
  *) mapfile -t searches < <(sed -n '5p;50p;95p' "$data/concepts.jsonl" | sed 's/.*"text": *"\([^"]*\)".*/\1/') ;;
esac
for words in "${searches[@]}"; do
  printf '"%s"\n' "$words"
  "$bin/vlalign" search --model "$out/model" --images "$data/images" --k 3 "$words"
done
printf '\nreport: %s\n' "$out/report.html"
