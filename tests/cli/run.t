A small model with random weights and a byte vocabulary.

  $ rwkv bench --make 2,64,256,f32 --prompt 0 --decode 0 --keep m.gguf

The text goes to standard output, and nothing else does; greedy means the same text every time.

  $ rwkv run -m m.gguf --greedy -n 30 "abc" > one; rwkv run -m m.gguf --temp 0 -n 30 "abc" > two
  $ cmp one two && rwkv run -m m.gguf --top-p 0 -n 30 "abc" | cmp - one
  $ [ -s one ] && [ "$(wc -c < one)" -ge 30 ]

So does a seed; without one it is drawn.

  $ for i in 1 2; do rwkv run -m m.gguf --seed 7 -n 30 "abc" > seeded$i; done; cmp seeded1 seeded2
  $ for i in 1 2; do rwkv run -m m.gguf -n 30 "abc" > drawn$i; done; cmp -s drawn1 drawn2
  [1]
  $ rwkv run -m m.gguf -v --seed 7 -n 3 "abc" 2>&1 > /dev/null | grep seed
  seed     7

The number of threads and the chunk change nothing.

  $ for o in "--threads 1" "--threads 3" "--chunk 1" "--chunk 7"
  > do rwkv run -m m.gguf --seed 7 -n 30 $o "abc" | cmp - seeded1; done

The prompt comes from an argument, standard input or a file, and may be any bytes.

  $ printf abc > prompt.txt; rwkv run -m m.gguf --seed 7 -n 30 - < prompt.txt | cmp - seeded1
  $ rwkv run -m m.gguf --seed 7 -n 30 -f prompt.txt | cmp - seeded1
  $ printf abc | rwkv run -m m.gguf --seed 7 -n 30 -f /dev/stdin | cmp - seeded1
  $ rwkv run -m m.gguf -n 1 "$(printf 'a\377\300b')" > /dev/null
  $ printf 'a\0b\377' | rwkv run -m m.gguf -n 0 --json - | grep tokens\"
    "tokens": {"prompt": 4, "generated": 0},
  $ head -c 100000 /dev/zero | rwkv run -m m.gguf -n 0 --json - | grep tokens\"
    "tokens": {"prompt": 100000, "generated": 0},

An empty prompt begins a text where the vocabulary has a token for that; the bytes have none.

  $ rwkv run -m m.gguf -n 1 ""
  ! rwkv: the prompt is empty, and this vocabulary has no token that begins a text
  [1]
  $ awk 'BEGIN { for (i = 1; i < 128; i++) printf "%d \"\\x%02x\" 1\n", i, i }' > ascii.txt
  $ rwkv run -m "$DATA/rwkv7/long-f16.pth" --vocab ascii.txt -n 1 --json "" | grep tokens\"
    "tokens": {"prompt": 1, "generated": 1},

A stop sequence is not printed, and escapes stand for control characters.

  $ rwkv run -m m.gguf --logit-bias 97=100 -n 9 x; echo
  aaaaaaaaa
  $ rwkv run -m m.gguf --logit-bias 97=100 -n 9 --stop aaa x
  $ rwkv run -m m.gguf --logit-bias 97=100 -n 9 --stop b --stop aa --json x | sed -n 2,4p
    "text": "",
    "finish": "stop",
    "tokens": {"prompt": 1, "generated": 2},
  $ rwkv run -m m.gguf --logit-bias 10=100 -n 9 --stop '\n' --json x | sed -n 2,4p
    "text": "",
    "finish": "stop",
    "tokens": {"prompt": 1, "generated": 1},
  $ rwkv run -m m.gguf --logit-bias 97=100 -n 9 --stop-token 97 --json x | sed -n 2,4p
    "text": "",
    "finish": "end",
    "tokens": {"prompt": 1, "generated": 0},
  $ rwkv run -m m.gguf --logit-bias 97=-inf --logit-bias 98=100 --greedy -n 3 x; echo
  bbb

Token 0 ends a text where it has no text of its own, unless told otherwise.

  $ cp "$DATA/rwkv7/long-f16.pth" ascii.pth
  $ ascii="rwkv run -m ascii.pth --vocab ascii.txt"
  > $ascii --logit-bias 0=100 -n 5 --json x | sed -n 2,4p
  > $ascii --logit-bias 0=100 -n 5 --ignore-eos --json x | sed -n 2,4p
    "text": "",
    "finish": "end",
    "tokens": {"prompt": 1, "generated": 0},
    "text": "",
    "finish": "length",
    "tokens": {"prompt": 1, "generated": 5},

A state carries a text on exactly.

  $ rwkv run -m m.gguf --greedy -n 20 "some words" > whole
  $ rwkv run -m m.gguf -n 0 --state-out half.state "some " && ls half.state
  half.state
  $ rwkv run -m m.gguf --greedy -n 20 --state-in half.state "words" | cmp - whole
  $ rwkv run -m m.gguf --greedy -n 5 --state-out five.state "some words" > begin
  $ rwkv run -m m.gguf --greedy -n 15 --state-in five.state "" > end; cat begin end | cmp - whole

As a tuned state it carries the matrices only, and begins a text.

  $ rwkv run -m m.gguf -n 0 --state-out tuned.pth "some " && rwkv info --tensors tuned.pth
  blocks.0.att.time_state  F32       [1, 64, 64]
  blocks.1.att.time_state  F32       [1, 64, 64]
  tuned.pth: pth, 2 tensors, 32.0 KiB
  $ rwkv run -m m.gguf -n 1 --state-in tuned.pth "words" > /dev/null

JSON has it all in one object.

  $ rwkv run -m m.gguf --greedy -n 8 --json abc > run.json
  $ sed -e 's/: "[^"]*"/: TEXT/g' -e 's/[0-9][0-9.e+-]*/N/g' run.json
  {
    "text": TEXT,
    "finish": TEXT,
    "tokens": {"prompt": N, "generated": N},
    "seed": N,
    "seconds": {"load": N, "prompt": N, "generate": N},
    "tokens_per_second": {"prompt": N, "generate": N},
    "peak_resident_bytes": N,
    "position": N,
    "model": {
      "path": TEXT,
      "version": N,
      "format": TEXT,
      "layers": N,
      "channels": N,
      "vocabulary_size": N,
      "heads": N,
      "head_size": N,
      "ffn_size": N,
      "ranks": {"w": N, "a": N, "v": N, "g": N},
      "parameters": N,
      "type": TEXT,
      "memory": {"file_bytes": N, "private_bytes": N, "state_bytes": N, "scratch_bytes": N},
      "token_bytes": N,
      "token_flops": N,
      "chunk": N,
      "cpu": TEXT,
      "vocabulary": TEXT,
      "fingerprint": TEXT
    }
  }

With -v the plan comes before loading, and the rates after the text.

  $ rwkv run -m m.gguf -v --greedy -n 8 abc 2>&1 > /dev/null | sed 's/[0-9][0-9.]*/N/g; s/ ms:/ s:/'
  model    m.gguf: RWKV-N, N layers of N channels, N k parameters, mostly FN
  weights  N KiB used where they lie in the file, N KiB of small vectors widened
  state    N KiB, whatever the length of the text
  scratch  N MiB for N tokens at once
  in all   N MiB
  prompt   N tokens in N s: N tokens/s
  text     N tokens in N s: N tokens/s; ended by: length
  memory   N MiB resident at most
  $ rwkv run -v -n 0 abc 2>&1 > /dev/null | head -n 1
  model    built-in model: RWKV-7, * (glob)

Without -m the built-in model runs.

  $ rwkv run -n 8 "Once upon a time" > out && [ -s out ]
