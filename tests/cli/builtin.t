The built-in model tells the same story on every path: greedy text of a hundred tokens. Another model in its place
wants new texts here (`run_case.py --update`) and in docs/builtin-model.md.

  $ cp "$SOURCE/data/builtin.gguf" b.gguf; rwkv run --greedy -n 100 "Once upon a time" | tee story
  , there was a little girl named Lily. She loved to play with her toys and eat yummy snacks. One day, Lily saw a big, red ball on the ground. She wanted to play with it, but it was too high for her.
  
  Lily started to cry. She didn't want to play with her ball, but she didn't know what to do. She tried to cry, but she didn't know what to do. She tried to cry, but she didn't know what to do. (no-eol)

What it is: a small file, and plain words.

  $ rwkv info | sed -n '2,8p'; test "$(wc -c < b.gguf)" -le 8000000 && echo small
  model         RWKV-7, gguf
  parameters    9.07 M (9067264)
  layers        8
  channels      256: 4 heads of 64
  channel mix   1024
  ranks         w 32, a 32, v 32, g 64
  vocabulary    4096 tokens, from built-in model
  small

Instruction sets, as many as this machine has; threads; pieces of the prompt; weights packed or not, zeros skipped or not.

  $ cat > same << 'END'
  > rwkv run --greedy -n 100 "$@" "Once upon a time" > found 2> said || { grep -q 'as far as this machine has it' said && exit 0; }
  > cmp found story || { echo "$@"; cat said; }
  > END
  > for isa in ref avx2 avxvnni avx512 avx512vnni avx512bf16 neon neon-dotprod neon-i8mm; do sh same --cpu $isa; done
  > for n in 1 2 3 5; do sh same --threads $n; sh same --chunk $n; done
  > for when in on off; do sh same --pack $when; sh same --zeros $when; done

The same weights in other types and files.

  $ for type in f32 bf16 f16; do for ending in gguf pth safetensors; do
  > rwkv convert -q --type $type b.gguf m.$ending
  > sh same -m m.$ending --vocab b.gguf; rm m.$ending; done; done

Sessions kept and gone on with, in one piece or several; many in a batch.

  $ rwkv run --greedy -n 0 --state-out s "Once upon a" && rwkv run --greedy -n 100 --state-in s " time" | cmp - story
  $ for i in 1 2 3 4 5; do printf '{"prompt": "Once upon a time", "id": %d}\n{"prompt": "The king said", "id": 0}\n' $i; done |
  > rwkv batch -q --greedy -n 100 - | python3 -c 'import json, sys
  > story = open("story").read().rstrip("\n")
  > print([r["text"] == story for r in map(json.loads, sys.stdin) if r["id"]])'
  [True, True, True, True, True]

It can be talked to.

  $ echo "Hello! How are you?" | rwkv chat --greedy -n 40
  I am a big fan of the NFL.  How about you?
