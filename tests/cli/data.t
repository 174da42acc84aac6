Texts become token data and come back: JSON lines, text files, folders, standard input.

  $ printf '{"text": "One fox.\\n"}\n\n{"id": 7, "text": "Two \\u00e9."}\n' > a.jsonl
  $ mkdir -p texts/b && printf 'Three' > texts/b/z.txt && printf 'Four' > texts/c && printf no > texts/.d
  $ rwkv data build -q --vocab bytes out a.jsonl texts && rwkv data cat --vocab bytes --ids out
  79 110 101 32 102 111 120 46 10 0
  84 119 111 32 195 169 46 0
  84 104 114 101 101 0
  70 111 117 114 0
  $ rwkv data cat --vocab bytes out 0 && rwkv data cat --vocab bytes --json out.idx 1-2 3-
  One fox.
  {"text": "Two é."}
  {"text": "Three"}
  {"text": "Four"}
  $ rwkv data cat --vocab bytes out; echo
  One fox.
  Two é.ThreeFour
  $ rwkv data cat --vocab bytes --json out | rwkv data build -q --vocab bytes --format jsonl again -
  $ cmp out.bin again.bin && cmp out.idx again.idx
  $ rwkv data build --vocab bytes texts.bin texts | sed 's/ in .*//'
  texts.bin: 2 documents, 11 tokens, 0.818 bytes of text a token
  from 2 files, 9 B of text,
  $ printf 'any \377 text' | rwkv data build -q --vocab bytes --separator none plain - && od -An -tx1 plain.bin
   61 00 6e 00 79 00 20 00 ff 00 20 00 74 00 65 00
   78 00 74 00
  $ rwkv data build -q --vocab bytes --separator 70000 wide texts && rwkv data cat --vocab bytes --separator 70000 --ids wide
  84 104 114 101 101 70000
  70 111 117 114 70000
  $ rwkv data cat --separator 70000 --vocab bytes wide; echo
  ThreeFour
  $ printf '{"body": "x"}\n' > b.ndjson; rwkv data build -q --vocab bytes --field body body b.ndjson
  $ rwkv data cat --vocab bytes --json body
  {"text": "x"}

A prompt before each text: two pieces of one document.

  $ printf '{"q": "1+1=", "a": "2"}\n{"q": "", "a": "yes"}\n{"q": "no", "a": ""}\n' > sums.jsonl
  $ rwkv data build --vocab bytes --prompt-field q --field a sums sums.jsonl | head -n 1
  sums: 2 documents, 10 tokens, 0.800 bytes of text a token
  ! rwkv: left out 1 document without text
  $ rwkv data cat --ids --vocab bytes sums; rwkv data info --ctx 2 sums | sed '/fingerprint/d'
  49 43 49 61 50 0
  121 101 115 0
  sums
  tokens       10, U16 (126 B in all)
  documents    2, of 4 to 6 tokens, 5.0 on average
  answers      6 tokens, 60.0 %, documents without a prompt among them
  magic prime  2 for samples of 2 tokens, of 5 there are
  $ rwkv data cat --json --vocab bytes sums
  {"prompt": "1+1=", "text": "2"}
  {"prompt": "", "text": "yes"}
  $ rwkv data cat --json --vocab bytes sums | rwkv data build -q --vocab bytes --prompt-field prompt sums2 - --format jsonl
  > cmp sums.idx sums2.idx && cmp sums.bin sums2.bin
  $ rwkv data build -q --vocab bytes --prompt-field text sums sums.jsonl
  ! rwkv: wanted another member for prompts than 'text'
  [1]
  $ rwkv data build -q --vocab bytes --prompt-field q --field a --skip-bad some - --format jsonl <<'END'
  > {"q": "x", "a": "y"}
  > {"a": "y"}
  > {"q": 7, "a": "y"}
  > {"q": "x\u0000", "a": "y"}
  > {"q": "x", "a": "z\u0000"}
  > END
  ! rwkv: left out 4 lines: the first is standard input: line 2: wanted a string as "q", found nothing
  $ rwkv data cat --ids --vocab bytes some
  120 121 0

The bytes are those of the official format.

  $ od -An -tx1 body.idx
   4d 4d 49 44 49 44 58 00 00 01 00 00 00 00 00 00
   00 08 01 00 00 00 00 00 00 00 02 00 00 00 00 00
   00 00 02 00 00 00 00 00 00 00 00 00 00 00 00 00
   00 00 00 00 00 00 01 00 00 00 00 00 00 00
  $ od -An -tx1 body.bin
   78 00 00 00

A vocabulary of longer tokens; the result is that of `tokenize`, whatever the number of threads.

  $ awk 'BEGIN { for (i = 1; i < 256; i++) printf "%d b\"\\x%02x\" 1\n", i, i }' > v.txt
  $ printf '256 "the " 4\n257 " the" 4\n258 "aaaaaaa" 7\n259 "aaa" 3\n260 "er" 2\n' >> v.txt
  $ awk 'BEGIN { for (i = 0; i < 40000; i++) printf "%s the other %d th", i % 3 ? "aaaaa" : "", i
  > for (i = 0; i < 200000; i++) printf "a" }' > long.txt
  $ rwkv tokenize --vocab v.txt - < long.txt > wanted
  $ for t in 1 2 3; do rwkv data build -q -t $t --force --vocab v.txt --separator none long long.txt
  > rwkv data cat --ids long | cmp - wanted; done
  $ rwkv data cat --vocab v.txt long | cmp - long.txt

What it is.

  $ rwkv data info --ctx 4 out
  out
  tokens       29, U16 (180 B in all)
  documents    4, of 5 to 10 tokens, 7.2 on average
  magic prime  5 for samples of 4 tokens, of 7 there are
  fingerprint +[0-9a-f]{64} (re)
  $ rwkv data info out.bin | sed -n 4p
  magic prime  none: samples of 512 tokens want 1536 tokens
  $ rwkv data info --ctx 4 --json out
  {
    "data": "out",
    "tokens": 29,
    "type": "U16",
    "documents": 4,
    "pieces": 4,
    "answer_tokens": 29,
    "shortest_document": 5,
    "longest_document": 10,
    "bin_bytes": 58,
    "idx_bytes": 122,
    "ctx": 4,
    "magic_prime": 5,
    "fingerprint": "[0-9a-f]{64}" (re)
  }
  $ rwkv data info wide | sed -n 2p
  tokens       11, I32 (126 B in all)

Whether it is sound.

  $ rwkv data check --vocab bytes out
  out: 29 tokens, all in the vocabulary, 18 different ones
  25 bytes of text, 0.862 a token
  4 documents, all end with token 0
  $ rwkv data check --vocab bytes --json out
  {
    "data": "out",
    "sound": true,
    "tokens": 29,
    "documents": 4,
    "foreign_tokens": 0,
    "open_documents": 0,
    "distinct_tokens": 18,
    "text_bytes": 25
  }
  $ rwkv data check --vocab bytes --separator none plain | tail -n 1
  10 bytes of text, 1.000 a token
  $ rwkv data check --vocab bytes plain | tail -n 1
  1 of 1 documents do not end with token 0
  $ rwkv data check --vocab bytes wide
  ! rwkv: wide: token 5, in document 0: wanted a token of the vocabulary, found 70000; there are 2 such
  [1]
  $ rwkv data cat --vocab bytes wide
  Three (no-eol)
  ! rwkv: wide: token 5: wanted an id below 256, found 70000
  [1]

Lines that are no documents are named, or left out and counted; so is text that is none.

  $ printf '{"text": "good"}\nnot good\n{"text": 5}\n{"text": ""}\n{"text": "end"}' > bad.jsonl
  $ rwkv data build -q --vocab bytes bad bad.jsonl
  ! rwkv: bad.jsonl: line 2: not JSON at byte 3: invalid token near 'not'
  [1]
  $ rwkv data build -q --skip-bad --vocab bytes bad bad.jsonl && rwkv data cat --vocab bytes --ids bad
  103 111 111 100 0
  101 110 100 0
  ! rwkv: left out 2 lines: the first is bad.jsonl: line 2: not JSON at byte 3: invalid token near 'not'
  ! rwkv: left out 1 document without text
  $ rwkv data build -q --skip-bad --vocab bytes bin bad.bin
  ! rwkv: bad.bin: byte 1: wanted text, found a zero byte
  [1]
  $ printf '{"text": "a b"}\n' > a.jsonl && printf '1 "a" 1\n' > one.txt
  $ rwkv data build -q --vocab one.txt one a.jsonl
  ! rwkv: a.jsonl: line 1: text, byte 1: wanted the beginning of a token of the vocabulary, found 0x20
  [1]

Nothing is replaced unasked, and nothing is left behind: not by what fails, nor when interrupted.

  $ rwkv data build -q --vocab bytes out texts
  ! rwkv: out.bin: is there already
  [1]
  $ cp out.bin half.replaced.bin; cp out.idx half.idx; rwkv data build -q --vocab bytes half.bin texts
  ! rwkv: half.idx: is there already
  [1]
  $ rm half.idx; cp out.idx half.replaced.idx; rwkv data build -q --vocab bytes half texts
  ! rwkv: half.replaced.bin: is there already
  [1]
  $ rwkv data build -q --force --vocab bytes half texts && rwkv data cat --vocab bytes half; echo; ls half.*
  ThreeFour
  half.bin
  half.idx
  $ rwkv data build -q --force --vocab bytes out texts && rwkv data cat --vocab bytes out; echo
  ThreeFour
  $ ls bin.* bad.??? one.* *.tmp 2>/dev/null
  bad.bin
  bad.idx
  one.txt
  [2]
  $ mkfifo pipe; rwkv data build --vocab bytes stopped pipe & exec 3> pipe; printf text >&3
  > kill -INT $!; exec 3>&-; wait $!; echo $?; ls stopped.*
  130
  ! rwkv: interrupted, stopped was not written
  ! ls: cannot access 'stopped.*': No such file or directory
  [2]
  $ rwkv data build -q --vocab bytes nowhere/out texts
  ! rwkv: nowhere/out.bin: cannot create: No such file or directory
  [1]

Files that are damaged, and other errors.

  $ head -c 50 out.idx > cut.idx; cp out.bin cut.bin; rwkv data info cut
  ! rwkv: cut.idx: wanted 34 + 12 × 2 + 8 × 3 bytes, found 50
  [1]
  $ cp out.idx short.idx; head -c 20 out.bin > short.bin; rwkv data check --vocab bytes short
  ! rwkv: short.idx: item 1: wanted it to end by byte 20, where the .bin does, found 5 tokens of 2 bytes from byte 12 on
  [1]
  $ rwkv data info nothing
  ! rwkv: nothing.idx: cannot open: No such file or directory
  [1]
  $ cp a.jsonl x.idx; cp a.jsonl x.bin; rwkv data info x
  ! rwkv: x.idx: wanted an index of token data, beginning with MMIDIDX, found something else
  [1]
  $ rwkv data cat --vocab bytes out 2
  ! rwkv: out: wanted documents from 0 to 1 such as 7, 7-9 or 7-, found '2'
  [1]
  $ rwkv data cat --vocab bytes out 1-0
  ! rwkv: out: wanted documents from 0 to 1 such as 7, 7-9 or 7-, found '1-0'
  [1]
  $ rwkv data cat --vocab bytes out 1x
  ! rwkv: out: wanted documents from 0 to 1 such as 7, 7-9 or 7-, found '1x'
  [1]
  $ rwkv data build --vocab bytes new nothing.txt
  ! rwkv: nothing.txt: cannot open: No such file or directory
  [1]
  $ mkdir empty; rwkv data build --vocab bytes new empty
  ! rwkv: new: wanted at least one document, found none
  [1]
  $ rwkv data cat --json --ids out
  ! rwkv: data cat: wanted one of --json and --ids, found both (see 'rwkv data cat --help')
  [2]
  $ rwkv data build out
  ! rwkv: data build: wanted OUT IN..., found only 'out' (see 'rwkv data build --help')
  [2]
  $ rwkv data build --separator x out texts
  ! rwkv: data build: option '--separator': wanted a token id from 0 to 16777215, or none, found 'x' (see 'rwkv data build --help')
  [2]
  $ rwkv data biuld
  ! rwkv: data: unknown command 'biuld': did you mean 'build'? (see 'rwkv data --help')
  [2]
  $ rwkv data --jsno
  ! rwkv: data: unknown option '--jsno' (see 'rwkv data --help')
  [2]
  $ rwkv data | head -n 1; rwkv data build --help | head -n 1; rwkv help data | head -n 1
  rwkv data: make token data to train on, and look at it
  rwkv data: make token data to train on, and look at it
  rwkv data: make token data to train on, and look at it
