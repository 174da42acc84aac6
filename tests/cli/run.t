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

It is read piece by piece, and gives the tokens of the whole: here of a vocabulary whose tokens
begin each other, in a text of several buffers.

  $ awk 'BEGIN { id = 1; for (i = 97; i < 101; i++) printf "%d \"%c\" 1\n", id++, i
  > for (i = 97; i < 101; i++) for (k = 97; k < 101; k++) printf "%d \"%c%c\" 2\n", id++, i, k
  > for (i = 97; i < 101; i++) for (k = 97; k < 101; k++) printf "%d \"%cab%cc\" 5\n", id++, i, k
  > printf "%d \"%s\" 9\n", id, "abcdabcda" }' > letters.txt
  > awk 'BEGIN { srand(3); for (i = 0; i < 80000; i++) printf "%c", 97 + int(4 * rand()) }' > long.txt
  $ l="-m $DATA/rwkv7/long-f16.pth --vocab letters.txt"
  > rwkv tokenize --vocab letters.txt - < long.txt > ids.txt
  > rwkv forward $l --tokens ids.txt --last --out last.safetensors --state-out ids.state
  > rwkv run $l -n 0 --state-out text.state -f long.txt && cmp ids.state text.state
  > cat long.txt | rwkv run $l -n 0 --state-out pipe.state - && cmp ids.state pipe.state
  > [ "$(wc -w < ids.txt)" -lt 60000 ]
  $ printf 'abcX' >> long.txt
  > rwkv run -m "$DATA/rwkv7/long-f16.pth" --vocab letters.txt -n 0 -f long.txt
  ! rwkv: long.txt: byte 80003: wanted the beginning of a token of the vocabulary, found 0x58
  [1]

Some of it may be left out.

  $ printf 01234abc | rwkv run -m m.gguf --seed 7 -n 30 --skip-bytes 5 - | cmp - seeded1
  $ printf 01234abc > skip.txt; rwkv run -m m.gguf --seed 7 -n 30 --skip-bytes 5 -f skip.txt | cmp - seeded1
  $ rwkv run -m m.gguf --seed 7 -n 30 --skip-bytes 5 01234abc | cmp - seeded1
  $ for i in skip.txt /dev/stdin; do cat skip.txt | rwkv run -m m.gguf --skip-bytes 9 -f $i; done
  ! rwkv: skip.txt: wanted at least the 9 bytes that are to be skipped, found 8
  ! rwkv: /dev/stdin: wanted at least the 9 bytes that are to be skipped, found 8
  [1]

Ctrl-C before its end keeps what was read and says how to go on; nothing is read twice or left out.

  $ head -c 40000 /dev/urandom > noise; rwkv run -m m.gguf -n 0 --state-out whole.state -f noise
  $ mkfifo pipe; rwkv run -m m.gguf --rates 100 --state-out part.state - < pipe 2> said & run=$!
  > { head -c 30000 noise; exec sleep 99; } > pipe & writer=$!
  > while [ ! -s said ]; do sleep 0.05; done; kill -INT $run; wait $run; echo "status $?"
  > kill $writer; tail -n 1 said | sed 's/[1-9][0-9]*/N/g'
  status 130
  rwkv: stopped at byte N of standard input, after N tokens; to go on: --state-in part.state --skip-bytes N
  $ at=$(tail -n 1 said | sed 's/.* //'); [ $at -ge 128 ] && [ $at -le 30000 ] && rwkv run -m m.gguf \
  > --state-in part.state --skip-bytes $at -n 0 --state-out joined.state -f noise && cmp joined.state whole.state
  $ rm said; rwkv run -m m.gguf --rates 100 - < pipe 2> said & run=$!
  > { head -c 30000 noise; exec sleep 99; } > pipe & writer=$!
  > while [ ! -s said ]; do sleep 0.05; done; kill -INT $run; wait $run; echo "status $?"
  > kill $writer; tail -n 1 said | sed 's/.*; //'
  status 130
  with --state-out FILE the state would have been kept

An empty prompt begins a text where the vocabulary has a token for that; the bytes have none.

  $ rwkv run -m m.gguf -n 1 ""
  ! rwkv: the prompt is empty, and this vocabulary has no token that begins a text
  [1]
  $ awk 'BEGIN { for (i = 1; i < 128; i++) printf "%d \"\\x%02x\" 1\n", i, i }' > ascii.txt
  $ rwkv run -m "$DATA/rwkv7/long-f16.pth" --vocab ascii.txt -n 1 --ignore-eos --json "" | grep tokens\"
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
    "prompt_bytes": N,
    "seed": N,
    "seconds": {"load": N, "prompt": N, "generate": N},
    "tokens_per_second": {"prompt": N, "generate": N},
    "packing": {"matrices": N, "bytes": N},
    "zeros": {"share": N, "layers": N, "bytes": N},
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
      "memory": {"file_bytes": N, "private_bytes": N, "state_bytes": N, "scratch_bytes": N, "zeros_bytes": N, "packed_bytes": N},
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
  zeros    N % of the channel mix; skipped in N layers, copied to N B
  memory   N MiB resident at most
  $ rwkv run -v -n 0 abc 2>&1 > /dev/null | head -n 1
  model    built-in model: RWKV-7, * (glob)

With --rates there is a line for every so many tokens, read and generated.

  $ rwkv run -m m.gguf --greedy --rates 128 -n 300 -f noise 2>&1 > rates.txt | tail -n 4 | sed 's/[0-9][0-9.]*/N/g; s/  */ /g; s/[-+]N/D/g'
  prompt from the first of N lines to the last: time a token D % (median), D % (least), memory D %
  text N tokens: N tokens/s, a token N ms (median), N ms (least), memory N KiB
  text N tokens: N tokens/s, a token N ms (median), N ms (least), memory N KiB
  text from the first of N lines to the last: time a token D % (median), D % (least), memory D %
  $ rwkv run -m m.gguf --greedy -n 300 -f noise | cmp - rates.txt

Weights packed, at once, by and by or never: the same text.

  $ rwkv bench --make 2,256,256,q4_k --prompt 0 --decode 0 --batch 0 --keep q.gguf > /dev/null
  $ for w in off auto on; do rwkv run -m q.gguf --pack $w --seed 3 -n 100 abc > $w.txt; done; cmp off.txt on.txt && cmp on.txt auto.txt
  $ rwkv run -m q.gguf --pack no abc
  ! rwkv: run: option '--pack': wanted auto, on or off, found 'no' (see 'rwkv run --help')
  [2]

Without -m the built-in model runs.

  $ rwkv run -n 8 "Once upon a time" > out && [ -s out ]

What is generated may be held to a grammar, even where the model knows nothing.

  $ printf 'root ::= "yes" | "no"' > yes.gbnf
  $ rwkv run -m m.gguf --grammar yes.gbnf --seed 1 "Is it?" | grep -cxE 'yes|no'
  1
  $ printf '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}' > n.json
  $ rwkv run -m m.gguf --json-schema n.json --seed 1 -n 500 "How many? " > n.out
  $ python3 -c 'import json; print(type(json.load(open("n.out"))["n"]).__name__)'
  int
  $ rwkv run -m m.gguf --json-object --seed 2 -n 3000 "a" | tr -d ' \n' | cut -c 1
  {
  $ rwkv run -m m.gguf --json-object --grammar yes.gbnf "a"
  ! rwkv: wanted one of --grammar, --json-schema and --json-object, found several
  [1]
  $ echo 'root ::= other' > bad.gbnf; rwkv run -m m.gguf --grammar bad.gbnf "a"
  ! rwkv: bad.gbnf: grammar: line 1: there is no rule 'other'
  [1]
