#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Train the built-in model, from texts to builtin.gguf:
#
#     examples/builtin/train.sh CORPUS WORK [RWKV]
#
# CORPUS is a folder with the five texts named below, packed by xz: one JSON object a line,
# {"text": "..."}: fragments of TinyStories and chats of Topical-Chat (both CDLA-Sharing-1.0), tales
# of StoryWeaver and African Storybook (CC-BY), fairy tales and books for the young in the public
# domain. WORK is a folder to make or to go on in: what is there already is not made again, and a
# run of training that was stopped goes on. RWKV is the program; the default is the one that `make`
# built.
set -eu

corpus=${1:?usage: train.sh CORPUS WORK [RWKV]}
work=${2:?usage: train.sh CORPUS WORK [RWKV]}
rwkv=$(realpath "${3:-$(dirname "$0")/../../build/programs/rwkv/rwkv}")
corpus=$(realpath "$corpus")
mkdir -p "$work"
cd "$work"

# Texts, and how often each is seen in a pass: the simple ones are few and count more.
texts='tinystories_fragments 6
storyweaver_asp_ccby 6
topical_chat 4
gitenberg_fairy 2
classics_children_adventure 1'

# The last fiftieth of each text's documents is held out.
echo "$texts" | while read -r name _; do
    [ -e "$name.train.jsonl" ] && continue
    xz -dc "$corpus/$name.jsonl.xz" > "$name.jsonl"
    held=$((($(wc -l < "$name.jsonl") + 49) / 50))
    tail -n "$held" "$name.jsonl" > "$name.held-out.jsonl"
    head -n "-$held" "$name.jsonl" > "$name.part"
    mv "$name.part" "$name.train.jsonl"
done

# The files of one kind of text, as often as it counts, in the order of the list.
files() {
    echo "$texts" | while read -r name times; do
        [ "$1" = train ] || times=1
        for _ in $(seq "$times"); do
            echo "$name.$1.jsonl"
        done
    done
}

# Names of the roles of a chat and the end of a turn are tokens of their own.
# shellcheck disable=SC2046
[ -e vocab.txt ] || "$rwkv" vocab train --size 4096 --keep 'User:' --keep 'Assistant:' \
    --keep '\n\n' vocab.txt $(files train)

tokens() {
    "$rwkv" data info --json "$1" | sed -n 's/.*"tokens": *\([0-9]*\).*/\1/p'
}
# shellcheck disable=SC2046
if ! [ -e held-out.share ]; then
    "$rwkv" data build --force --vocab vocab.txt held-out $(files held-out)
    "$rwkv" data build --force --vocab vocab.txt stories $(files train) $(files held-out)
    echo "$(tokens held-out) $(tokens stories)" | awk '{ printf "%.6f\n", $1 / $2 }' \
        > held-out.share
fi

if [ -e run/checkpoints ]; then
    "$rwkv" train --resume run
else
    "$rwkv" train --out run --data stories --vocab vocab.txt --held-out "$(cat held-out.share)" \
        --layers 8 --embd 256 --ctx 512 --batch 8 --steps 4000 --order shuffled \
        --lr 1e-3 --lr-final 5e-5 --warmup 100 --validate-every 500 --checkpoint-every 50 \
        --sample-every 500 --prompt 'Once upon a time' --export story.pth,story.gguf
fi

[ -e builtin.gguf ] || "$rwkv" quantize --type q5_k run/story.gguf builtin.gguf
