Vocabularies learned from text, shown and compared.

  $ for i in 1 2 3 4 5 6 7 8; do
  >     printf 'User: the cat sat on the mat.\n\nAssistant: and the dog sat, twice in 2024.\n'
  > done > text.txt
  $ rwkv vocab train --size 290 --keep User: --keep '\n\n' out.txt text.txt --held-out text.txt --compare bytes -q
  on 592 B of text not learned from:
       ids  bytes per token     tokens
       290           2.9600      +0.0 %  out.txt
       256           1.0000    +196.0 %  bytes
  $ rwkv vocab info out.txt text.txt
  ids                  290, of which 289 stand for text
  single bytes         256 of 256: every text can be encoded
  longest token        9 bytes: "Assistant"
  text                 592 bytes, 200 tokens
  bytes per token      2.9600
  never used           21 tokens of several bytes: "th", "sat", "the", "ista", "sist", "ssis", "stan", "tant" …
  $ rwkv vocab info out.txt --json
  {
    "file": "out.txt",
    "size": 290,
    "tokens_with_text": 289,
    "single_bytes": 256,
    "longest_bytes": 9,
    "longest": "Assistant"
  }
  $ sed -n -e '1p;11p;257p' out.txt
  1 '\x00' 1
  11 '\n' 1
  257 '\n\n' 2
  $ rwkv vocab compare --text text.txt out.txt bytes
       ids  bytes per token     tokens
       290           2.9600      +0.0 %  out.txt
       256           1.0000    +196.0 %  bytes
  $ rwkv vocab compare --text text.txt bytes out.txt --json
  {
    "bytes": 592,
    "vocabularies": [
      {"file": "bytes", "size": 256, "tokens": 592, "bytes_per_token": 1},
      {"file": "out.txt", "size": 290, "tokens": 200, "bytes_per_token": 2.96}
    ]
  }
  $ rwkv tokenize --vocab out.txt "User: the cat" | rwkv detokenize --vocab out.txt
  User: the cat (no-eol)

JSON lines, tokens to keep from a file, standard input; any number of threads gives the same file.

  $ printf '{"text": "the cat sat on the mat, the cat sat on the mat"}\n{"text": ""}\n' > lines.jsonl
  $ printf 'on the mat\n\nand\\tso\n' > keep
  $ rwkv vocab train -n 270 --keep-file keep one.txt lines.jsonl -q -t 1
  $ rwkv vocab train -n 270 --keep-file keep two.txt lines.jsonl - -q < text.txt; wc -l < two.txt
  269
  $ rwkv vocab train -n 270 --keep-file keep three.txt - --format jsonl -q -t 3 < lines.jsonl; cmp one.txt three.txt
  $ grep -c -e 'on the mat' -e 'and.tso' one.txt
  2

A byte order mark before the first line is none of the text.

  $ { printf '\357\273\277'; cat lines.jsonl; } > marked.jsonl
  $ rwkv vocab train -n 270 --keep-file keep four.txt marked.jsonl -q; cmp one.txt four.txt

The summary. One block of twenty is not learned from.

  $ for i in $(seq 60); do echo "{\"text\": \"line $i of the text that is learned from, or not\"}"; done > many.jsonl
  $ rwkv vocab train -n 280 many.txt many.jsonl
  on 144 B of text not learned from:
       ids  bytes per token     tokens
       280           3.4286      +0.0 %  many.txt
  ! many.txt: 280 ids from 2.66 KiB of text, 22 different words, 32.3 MiB of tables, in * (glob)

Too short a text, a file that is there, what is wrong.

  $ rwkv vocab train -n 1000 short.txt lines.jsonl -q
  ! rwkv: short.txt has 282 ids instead of 1000: no other string that occurs 2 times saves a token
  $ rwkv vocab train -n 300 out.txt text.txt -q
  ! rwkv: out.txt: is there already
  [1]
  $ rwkv vocab train out.txt text.txt
  ! rwkv: vocab train: wanted --size (see 'rwkv vocab train --help')
  [2]
  $ rwkv vocab train -n 10 out.txt text.txt
  ! rwkv: vocab train: option '-n': wanted a whole number from 257 to 1048576, found '10' (see 'rwkv vocab train --help')
  [2]
  $ rwkv vocab train -n 300 new.txt nothing.txt; rwkv vocab train -n 258 --keep aa --keep bb new.txt text.txt
  ! rwkv: nothing.txt: cannot open: No such file or directory
  ! rwkv: size: wanted room for every byte and 2 tokens to keep, found 258
  [1]
  $ rwkv vocab train -n 300 --join all new.txt text.txt
  ! rwkv: vocab train: option '--join': wanted words, lines, digits or punctuation, found 'all' (see 'rwkv vocab train --help')
  [2]
  $ echo '{"no": 1}' > bad.jsonl; rwkv vocab train -n 300 new.txt lines.jsonl bad.jsonl -q; ls new.txt
  ! rwkv: bad.jsonl: line 1: wanted a string as "text", found nothing
  ! ls: cannot access 'new.txt': No such file or directory
  [2]
  $ rwkv vocab compare bytes; rwkv vocab compare --text /dev/null bytes; rwkv vocab info keep
  ! rwkv: vocab compare: wanted --text (see 'rwkv vocab compare --help')
  ! rwkv: /dev/null: wanted a text, found nothing
  ! rwkv: keep: line 1: wanted a token's id (a decimal number) at byte 1, found "on the mat"
  [1]
  $ rwkv vocab | head -n 1; rwkv vocab learn
  rwkv vocab: learn vocabularies from text, and compare them
  ! rwkv: vocab: unknown command 'learn' (see 'rwkv vocab --help')
  [2]
