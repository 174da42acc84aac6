A published model, small and hardly trained, and the published vocabulary.

Needs: $SHARED/vectors/tiny-real/tiny-7v0.pth $SHARED/data/rwkv_vocab_v20230424.txt

  $ m="$SHARED/vectors/tiny-real/tiny-7v0.pth"
  > rwkv run -m "$m" --vocab bytes --greedy -n 40 "The state of"; echo
   the the the the the the the the the the
  $ m="$SHARED/vectors/tiny-real/tiny-7v0.pth"
  > rwkv run -m "$m" --vocab bytes --seed 3 -n 100 "The state of" > want; [ "$(wc -c < want)" -ge 100 ]
  > rwkv convert -q "$m" m.gguf --vocab bytes && rwkv convert -q "$m" m.safetensors
  > rwkv run -m m.gguf --seed 3 -n 100 "The state of" | cmp - want
  > rwkv run -m m.safetensors --vocab bytes --seed 3 -n 100 "The state of" | cmp - want

Other versions are named.

  $ rwkv run -m "$SHARED/vectors/tiny-real/tiny-5v2-fp16.pth" --vocab bytes x 2>&1 | sed "s|$SHARED|SHARED|"
  rwkv: SHARED/vectors/tiny-real/tiny-5v2-fp16.pth: wanted an RWKV-7 model, found an RWKV-5.2 model
  $ for v in v4.pth v5.0.pth v5.1.safetensors v5.2.pth v6.0.pth
  > do rwkv info "$SHARED/vectors/older/$v" 2>&1 | sed "s|$SHARED|SHARED|"; done
  rwkv: SHARED/vectors/older/v4.pth: wanted an RWKV-7 model, found an RWKV-4 model
  rwkv: SHARED/vectors/older/v5.0.pth: wanted an RWKV-7 model, found an RWKV-5.0 model
  rwkv: SHARED/vectors/older/v5.1.safetensors: wanted an RWKV-7 model, found an RWKV-5.1 model
  rwkv: SHARED/vectors/older/v5.2.pth: wanted an RWKV-7 model, found an RWKV-5.2 model
  rwkv: SHARED/vectors/older/v6.0.pth: wanted an RWKV-7 model, found an RWKV-6 model

The World vocabulary, found beside the model, in the data folder, or named.

  $ v="$SHARED/data/rwkv_vocab_v20230424.txt"; rwkv tokenize --vocab "$v" --pieces "User: Hello, world!"
  24281	"User"
  59	":"
  36786	" Hello"
  45	","
  40213	" world"
  34	"!"
  $ rwkv bench --make 1,64,65536,f32 --prompt 0 --decode 0 --keep w.gguf && rwkv convert -q w.gguf m.pth
  > ln -s "$SHARED/data/rwkv_vocab_v20230424.txt"; rwkv tokenize -m m.pth "User: Hello, world!"
  24281 59 36786 45 40213 34
  $ mkdir -p .local/share/rwkv && mv rwkv_vocab_v20230424.txt .local/share/rwkv
  > rwkv tokenize -m m.pth "User: Hello, world!"; rwkv info m.pth | grep vocabulary
  24281 59 36786 45 40213 34
  vocabulary    65536 tokens, from $TMP/.local/share/rwkv/rwkv_vocab_v20230424.txt
  $ rwkv convert -q --force m.pth world.gguf && rwkv tokenize -m world.gguf "User: Hello, world!"
  24281 59 36786 45 40213 34
