In the byte vocabulary a token is a byte, whatever bytes they are.

  $ rwkv tokenize --vocab bytes "Hi"
  72 105
  $ printf 'Hi\n' | rwkv tokenize --vocab bytes
  72 105 10
  $ printf 'a\0\377\n' | rwkv tokenize --vocab bytes -
  97 0 255 10
  $ rwkv tokenize --vocab bytes "" && printf '' | rwkv tokenize --vocab bytes --count
  
  0
  $ rwkv tokenize --vocab bytes --count "four"
  4
  $ rwkv tokenize --vocab bytes --json "abc"
  {
    "count": 3,
    "tokens": [97, 98, 99]
  }
  $ rwkv tokenize --vocab bytes --json ""
  {
    "count": 0,
    "tokens": []
  }
  $ printf 'a"\n\377' | rwkv tokenize --vocab bytes --pieces
  97	"a"
  34	"\""
  10	"\n"
  255	"�"

Decoding gives the bytes back, and nothing else.

  $ rwkv detokenize --vocab bytes 72 105 10
  Hi
  $ rwkv detokenize --vocab bytes 72,105
  Hi (no-eol)
  $ echo '[72, 105]' | rwkv detokenize --vocab bytes
  Hi (no-eol)
  $ rwkv detokenize --vocab bytes --json 72 105 255
  {
    "text": "Hi�",
    "bytes": 3
  }
  $ head -c 3000 /dev/urandom > any; rwkv tokenize --vocab bytes < any | rwkv detokenize --vocab bytes | cmp - any
  $ echo | rwkv detokenize --vocab bytes | wc -c
  0

A vocabulary from a file: the longest token that fits is taken.

  $ awk 'BEGIN { for (i = 0; i < 256; i++) printf "%d b\"\\x%02x\" 1\n", i + 1, i }' > v.txt
  $ printf '257 "ab" 2\n258 "abc" 3\n' >> v.txt
  $ rwkv tokenize --vocab v.txt "abcab"
  258 257
  $ rwkv detokenize --vocab v.txt 258 257 0; echo
  abcab
  $ rwkv tokenize --vocab v.txt --pieces "abcab"
  258	"abc"
  257	"ab"

Typed on a terminal, one Ctrl-D ends the text.

  $ cat > typed.py <<'END'
  > import os, pty, signal
  > pid, terminal = pty.fork()
  > if pid == 0:
  >     os.execvp("rwkv", ["rwkv", "tokenize", "--vocab", "bytes"])
  > signal.alarm(20)
  > os.write(terminal, b"Hi\n\x04")
  > shown = b""
  > while b" 10" not in shown:
  >     shown += os.read(terminal, 100)
  > print(shown.decode().split("\r\n")[1])
  > END
  > python3 typed.py
  72 105 10

Or from a model, by default the built-in one.

  $ rwkv bench --make 2,64,300,f32 --prompt 0 --decode 0 --keep m.gguf
  $ rwkv tokenize -m m.gguf "Hi"
  72 105
  $ rwkv detokenize -m m.gguf 72 299 105; echo
  Hi
  $ rwkv tokenize "a b" | rwkv detokenize; echo
  a b

Errors.

  $ rwkv detokenize --vocab bytes 256
  ! rwkv: token 1 of the list: wanted an id below 256, found 256
  [1]
  $ rwkv detokenize --vocab v.txt 1 259
  ! rwkv: token 2 of the list: wanted an id below 259, found 259
  [1]
  $ rwkv detokenize -m m.gguf 300
  ! rwkv: token 1 of the list: wanted an id below 300, found 300
  [1]
  $ rwkv detokenize --vocab bytes 72 x
  ! rwkv: arguments: byte 0: wanted a token id from 0 to 2147483647, found 'x'
  [1]
  $ rwkv detokenize --vocab bytes -- -1
  ! rwkv: arguments: byte 0: wanted a token id from 0 to 2147483647, found '-1'
  [1]
  $ echo 99999999999 | rwkv detokenize --vocab bytes
  ! rwkv: standard input: byte 0: wanted a token id from 0 to 2147483647, found '99999999999'
  [1]
  $ echo 1.5 | rwkv detokenize --vocab bytes
  ! rwkv: standard input: byte 0: wanted a token id from 0 to 2147483647, found '1.5'
  [1]
  $ rwkv tokenize --vocab nothing.txt x
  ! rwkv: nothing.txt: cannot open: No such file or directory
  [1]
  $ rwkv tokenize --vocab . x
  ! rwkv: .: wanted a file, found a directory
  [1]
  $ : > empty.txt; rwkv tokenize --vocab empty.txt x
  ! rwkv: empty.txt: wanted a vocabulary, found no tokens
  [1]
  $ printf '1 "a" 1\n' > one.txt; rwkv tokenize --vocab one.txt ab
  ! rwkv: text, byte 1: wanted the beginning of a token of the vocabulary, found 0x62
  [1]
  $ rwkv tokenize -m nothing.gguf x
  ! rwkv: nothing.gguf: cannot open: No such file or directory
  [1]
  $ rwkv tokenize --vocab bytes Hi > /dev/full
  ! rwkv: standard output: No space left on device
  [1]
  $ rwkv tokenize --vocab bytes < .
  ! rwkv: standard input: cannot read: Is a directory
  [1]
