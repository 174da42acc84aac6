How well a model predicts a text. The first token is not scored; what is shown adds up.

  $ cp "$DATA/gguf/long-f16-F16.gguf" m.gguf; cp "$DATA/gguf/long-f16-Q4_1.gguf" q.gguf
  > for i in 1 2 3 4 5 6 7 8; do echo "$i brown foxes jump over the lazy dog, which does not mind."; done > text.txt
  > rwkv perplexity -q m.gguf text.txt --cpu ref > out; sed 's/^speed .*[0-9] /speed N /' out
  m.gguf: RWKV-7, 2 layers of 64 channels, 154 k parameters, mostly F16
  text.txt: 472 tokens, the state carried through
  
  tokens               471 scored, 471 bytes of text
  loss                 6.62694 ± 0.08633 nats a token
  perplexity           755.16560 ± 65.19247
  bits per byte        9.56065
  speed N tokens/s
  $ rwkv perplexity -q m.gguf text.txt --cpu ref --json > a.json; grep -v second a.json
  {
    "model": "m.gguf",
    "text": "text.txt",
    "window": 0,
    "interrupted": false,
    "tokens": 472,
    "tokens_scored": 471,
    "bytes_scored": 471,
    "loss": 6.62693706,
    "loss_error": 0.0863287118,
    "perplexity": 755.1656,
    "perplexity_error": 65.1924734,
    "bits_per_byte": 9.56064924,
  }
  $ awk -F'[ ,:]+' '/"loss":/ { l = $3 } /"perplexity":/ { p = $3 } /"bits_per_byte"/ { b = $3 }
  > END { d = exp(l) / p - 1; e = l / log(2) - b; print (d * d < 1e-14 && e * e < 1e-14) }' a.json
  1

The numbers do not depend on threads and chunks, nor on where the text comes from.

  $ grep -v second a.json > b.json
  > for o in "--threads 1" "--threads 3 --chunk 5" "--chunk 1" "--chunk 4096"
  > do rwkv perplexity m.gguf text.txt --cpu ref $o -q --json | grep -v second | cmp - b.json; done
  > for f in - /dev/stdin; do rwkv perplexity --cpu ref -m m.gguf $f -q --json < text.txt | sed 's|standard input|text.txt|; s|/dev/stdin|text.txt|'|
  > grep -v second | cmp - b.json; cat text.txt | rwkv perplexity --cpu ref m.gguf $f -q --json |
  > sed 's|standard input|text.txt|; s|/dev/stdin|text.txt|' | grep -v second | cmp - b.json; done

The built-in model is there for want of another.

  $ rwkv perplexity -q text.txt | head -n 2 | tail -n 1 | sed 's/[0-9][0-9]* tokens/N tokens/'
  text.txt: N tokens, the state carried through

Part of a text; windows, of which only whole ones count.

  $ rwkv perplexity -q m.gguf text.txt -n 100 --json | grep -e tokens -e bytes | grep -v second
    "tokens": 100,
    "tokens_scored": 99,
    "bytes_scored": 99,
  $ rwkv perplexity -q m.gguf text.txt --window 64 --json | grep -e tokens -e window | grep -v second
    "window": 64,
    "tokens": 448,
    "tokens_scored": 217,
  $ rwkv perplexity -q m.gguf text.txt --window 64 --limit 200 | grep -e windows -e scored
  text.txt: 192 tokens in windows of 64
  tokens               93 scored, 93 bytes of text
  $ head -c 64 text.txt | rwkv perplexity -q m.gguf - --window 64 --json --cpu ref | grep loss > a
  > rwkv perplexity -q m.gguf text.txt --limit 127 --window 64 --json --cpu ref | grep loss | cmp - a

Beside another model.

  $ rwkv perplexity -q q.gguf text.txt --compare m.gguf --cpu ref | sed 's/^speed .*[0-9] /speed N /' > out; cat out
  q.gguf: RWKV-7, 2 layers of 64 channels, 154 k parameters, mostly Q4_1
  text.txt: 472 tokens, the state carried through
  
  tokens               471 scored, 471 bytes of text
  loss                 6.63276 ± 0.09005 nats a token
  perplexity           759.57662 ± 68.40209
  bits per byte        9.56905
  speed N tokens/s
  
  beside m.gguf: RWKV-7, 2 layers of 64 channels, 154 k parameters, mostly F16
  
  its loss             6.62694 ± 0.08633 nats a token
  its perplexity       755.16560 ± 65.19247
  perplexity ratio     1.00584 ± 0.02138
  KL divergence        0.1209126 ± 0.0039813 nats a token
    at most            0.3818359 for 99 % of the tokens, 0.9807574 for all
  same first choice    66.879 ± 2.171 %
  probability change   0.420 % (root mean square, of the token that came)
  $ rwkv perplexity -q q.gguf text.txt --compare m.gguf --cpu ref --json | sed -n '/comparison/,$p'
    "comparison": {
      "base": "m.gguf",
      "base_loss": 6.62693706,
      "base_loss_error": 0.0863287118,
      "base_perplexity": 755.1656,
      "base_perplexity_error": 65.1924734,
      "perplexity_ratio": 1.00584113,
      "perplexity_ratio_error": 0.0213756394,
      "kl_divergence": 0.120912622,
      "kl_divergence_error": 0.00398129083,
      "kl_divergence_p99": 0.381835938,
      "kl_divergence_max": 0.980757389,
      "same_top": 0.668789809,
      "same_top_error": 0.021709396,
      "probability_rms": 0.00419766577
    }
  }
  $ rwkv perplexity -q m.gguf text.txt --compare m.gguf | tail -n 5
  perplexity ratio     1.00000 ± 0.00000
  KL divergence        0.0000000 ± 0.0000000 nats a token
    at most            0.0000000 for 99 % of the tokens, 0.0000000 for all
  same first choice    100.000 ± 0.000 %
  probability change   0.000 % (root mean square, of the token that came)

Two tokens are the least; nothing is known of their spread.

  $ printf ab | rwkv perplexity -q m.gguf - --cpu ref | grep -e loss -e scored
  tokens               1 scored, 1 bytes of text
  loss                 5.75609 nats a token
  $ printf ab | rwkv perplexity -q m.gguf - --json | grep error
    "loss_error": null,
    "perplexity_error": null,

Texts that are none, or not enough.

  $ : > empty; rwkv perplexity m.gguf empty
  ! rwkv: empty: wanted at least 2 tokens, found 0
  [1]
  $ printf a | rwkv perplexity m.gguf -
  ! rwkv: standard input: wanted at least 2 tokens, found 1
  [1]
  $ rwkv perplexity m.gguf text.txt --limit 20 --window 40
  ! rwkv: text.txt: wanted at least 40 tokens, a window, found 20
  [1]
  $ rwkv perplexity m.gguf nothing.txt; rwkv perplexity m.gguf .
  ! rwkv: nothing.txt: cannot open: No such file or directory
  ! rwkv: .: cannot read: Is a directory
  [1]
  $ printf 'abc\377\376' > binary; rwkv perplexity m.gguf binary
  ! rwkv: binary: byte 3: wanted the beginning of a token of the vocabulary, found 0xff
  [1]
  $ rwkv perplexity m.gguf m.gguf --vocab bytes
  ! rwkv: m.gguf: token 222: wanted an id of 0 to 127, as the model has, found 172
  [1]
  $ rwkv perplexity m.gguf
  ! rwkv: perplexity: wanted MODEL FILE, found only the model 'm.gguf' (see 'rwkv perplexity --help')
  [2]

One long line is a text like any other.

  $ head -c 30000 /dev/zero | tr '\0' 'a' > line.txt; rwkv perplexity m.gguf line.txt -q | grep scored
  tokens               29999 scored, 29999 bytes of text

Vocabularies and models that do not fit.

  $ cp "$DATA/rwkv7/long-f16.pth" bare.pth; rwkv perplexity bare.pth text.txt
  ! rwkv: no vocabulary found: put rwkv_vocab_v20230424.txt (in the folder tokenizer of github.com/BlinkDL/ChatRWKV) beside the model or in the data folder, or give --vocab FILE, or --vocab bytes for a byte-level model; looked at: bare.pth (holds none), rwkv_vocab_v20230424.txt (No such file or directory), $TMP/.local/share/rwkv/rwkv_vocab_v20230424.txt (No such file or directory)
  [1]
  $ rwkv perplexity -q bare.pth text.txt --vocab bytes -n 3 --cpu ref | grep '^loss'
  loss                 7.69462 ± 0.77796 nats a token
  $ rwkv perplexity m.gguf text.txt --compare "$DATA/rwkv7/small-f32.safetensors" 2>&1 | sed "s|$DATA|DATA|"
  rwkv: DATA/rwkv7/small-f32.safetensors: wanted a vocabulary of 128 tokens, as m.gguf has, found 256
  $ rwkv perplexity m.gguf text.txt --compare nothing.gguf
  ! rwkv: nothing.gguf: cannot open: No such file or directory
  [1]

The command line.

  $ rwkv perplexity; rwkv perplexity m.gguf text.txt text.txt; rwkv perplexity -m m.gguf m.gguf text.txt
  ! rwkv: perplexity: wanted MODEL FILE, found nothing (see 'rwkv perplexity --help')
  ! rwkv: perplexity: wanted only MODEL FILE, found one more: 'text.txt' (see 'rwkv perplexity --help')
  ! rwkv: perplexity: wanted one MODEL, found two: 'm.gguf' and 'm.gguf' (see 'rwkv perplexity --help')
  [2]
  $ rwkv perplexity m.gguf text.txt --window 2; rwkv perplexity m.gguf text.txt --limit 1
  ! rwkv: perplexity: option '--window': wanted a whole number from 3 up to 18446744073709551615, found '2' (see 'rwkv perplexity --help')
  ! rwkv: perplexity: option '--limit': wanted a whole number from 2 up to 18446744073709551615, found '1' (see 'rwkv perplexity --help')
  [2]

Ctrl-C ends with what was measured so far. What is written into the pipe has been read but for the
64 KiB that it holds, and evaluated but for the 64 KiB that the program reads at once: so the signal
comes in the middle, however slow the machine is.

  $ mkfifo pipe; interrupt() { { head -c 140000 /dev/zero | tr '\0' 'b'; kill -INT $!; yes; } > pipe; }
  > rwkv perplexity m.gguf pipe -q > out & interrupt; wait $!; echo $?
  > grep -c -e 'tokens, the state carried through; interrupted$' -e '^perplexity' out
  130
  2
  $ interrupt() { { head -c 140000 /dev/zero | tr '\0' 'b'; kill -INT $!; yes; } > pipe; }
  > rwkv perplexity m.gguf pipe -q --json > out & interrupt; wait $!; echo $?
  > grep interrupted out; awk -F'[ ,]+' '/"tokens"/ { print($3 >= 140000 - 131072) }' out
  130
    "interrupted": true,
  1

A text need not have an end.

  $ rwkv perplexity m.gguf /dev/zero --vocab bytes -q --limit 600 | grep scored
  tokens               599 scored, 599 bytes of text
