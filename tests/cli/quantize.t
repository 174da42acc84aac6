A model of random weights, quantized; the report's stars mark rows that do not fit.

  $ rwkv bench --make 1,256,256,f16 --prompt 0 --decode 0 --batch 0 --keep m.gguf
  $ rwkv quantize --type q4_k m.gguf q4_k.gguf 2>&1 | sed 's/[0-9][0-9.]* /N /g'
  q4_k.gguf: N KiB written, N bits a number, error N %
  $ rwkv info q4_k.gguf | grep -A 3 types
  types         18 tensors F32, 23.0 KiB
                8 tensors F16, 160 KiB
                7 tensors Q4_K, 468 KiB
                1 tensor Q6_K, 52.5 KiB
  $ rwkv info q4_k.gguf | grep -E 'file_type|quantization_version'
    general.file_type = 15
    general.quantization_version = 2
  $ rwkv quantize --type q2_k --report m.gguf q2_k.gguf 2>/dev/null | sed 's/[0-9.]* %/E %/g; s/ [0-9.e-]*$/ X/' | grep -v time_mix_[wavg]
  tensor                                 shape         type             bits     error  weighted    largest
  token_embd.weight                      [256, 256]    F16 -> Q4_K     4.500   E %         -     X
  blk.0.time_mix_receptance.weight       [256, 256]    F16 -> Q2_K     2.625  E %         -     X
  blk.0.time_mix_key.weight              [256, 256]    F16 -> Q2_K     2.625  E %         -     X
  blk.0.time_mix_output.weight           [256, 256]    F16 -> Q2_K     2.625  E %         -      X
  blk.0.channel_mix_key.weight           [1024, 256]   F16 -> Q2_K     2.625  E %         -     X
  blk.0.channel_mix_value.weight         [256, 1024]   F16 -> Q2_K     2.625  E %         -     X
  output.weight                          [256, 256]    F16 -> Q6_K     6.562   E %         -    X
  18 vectors F32, 23.0 KiB
  all: 524 KiB, 4.266 bits a number, error E %
  $ for t in q8_0 q6_k q5_k q3_k q5_1 q5_0 q4_1 q4_0 iq4_nl iq4_xs; do rwkv quantize -q --type $t m.gguf $t.gguf
  > rwkv run -m $t.gguf --greedy --ignore-eos -n 4 abc > /dev/null || echo $t; done

Rows of 64 are too short for blocks of 256; what is taken instead is said.

  $ cp "$DATA/rwkv7/long-f16.pth" small.pth
  > awk 'BEGIN { for (i = 1; i < 128; i++) printf "%d \"\\x%02x\" 1\n", i, i }' > ascii.txt
  $ rwkv quantize --type q4_k --vocab ascii.txt small.pth small.gguf 2>&1 | sed 's/[0-9.]* [KM]iB/N KiB/; s/error .*/error E/'
  note: rows of 12 tensors fit no block of the type wanted (token_embd.weight: Q5_0 for Q4_K)
  small.gguf: N KiB written, 8.61 bits a number, error E
  $ rwkv quantize --type q8_0 --vocab ascii.txt --report --force small.pth small.gguf 2>/dev/null | grep -c '\*$' || true
  0

Types of single matrices; of several patterns the last counts.

  $ rwkv quantize -q --type q8_0 --tensor '*key.weight=q5_k' --tensor 'blocks.0.ffn.*=q6_k' --tensor output.weight=f32 m.gguf mixed.gguf
  > rwkv info --tensors mixed.gguf | grep -E 'key.weight|output.weight|value.weight'
  blk.0.time_mix_key.weight         Q5_K      [256, 256]
  blk.0.time_mix_value.weight       Q8_0      [256, 256]
  blk.0.time_mix_output.weight      Q8_0      [256, 256]
  blk.0.channel_mix_key.weight      Q6_K      [1024, 256]
  blk.0.channel_mix_value.weight    Q6_K      [256, 1024]
  output.weight                     F32       [256, 256]
  $ rwkv quantize --type q8_0 --tensor 'blk.9.*=q4_0' m.gguf out.gguf
  ! rwkv: blk.9.*: no matrix of that name in m.gguf
  [1]
  $ rwkv quantize --type q8_0 --tensor '*=q4_k' small.pth out.gguf --vocab ascii.txt
  ! rwkv: token_embd.weight: type Q4_K wants rows of a multiple of 256 numbers, found 64 (q4_0, q4_1, q5_0, q5_1, q8_0 and iq4_nl want 32)
  [1]
  $ rwkv quantize --type q8_0 --tensor 'output.weight' m.gguf out.gguf
  ! rwkv: quantize: option '--tensor': wanted PATTERN=TYPE such as 'output.weight=q8_0', found 'output.weight' (see 'rwkv quantize --help')
  [2]
  $ rwkv quantize --type q8_0 --tensor 'output.weight=i8' m.gguf out.gguf
  ! rwkv: quantize: option '--tensor': wanted PATTERN=TYPE such as 'output.weight=q8_0', found 'output.weight=i8' (see 'rwkv quantize --help')
  [2]

Quantized again, with a note; what has the type already is copied.

  $ rwkv quantize --type q4_k --force q8_0.gguf again.gguf 2>&1 | head -n 1
  note: 8 tensors were quantized before (token_embd.weight: Q8_0): the error then made stays, and is not in these numbers
  $ rwkv quantize -q --type q4_k --force q4_k.gguf again.gguf; cmp q4_k.gguf again.gguf

Importance measured on a text, kept, and used again: the same file results.

  $ printf 'In the beginning there was a text, and the text was short.' > text.txt
  > rwkv quantize -q --type q4_k --calibrate text.txt --importance-out i.gguf m.gguf c.gguf
  > rwkv quantize -q --type q4_k --importance i.gguf m.gguf d.gguf; cmp c.gguf d.gguf; cmp -s c.gguf q4_k.gguf || echo other
  other
  $ rwkv quantize -q --type q4_k --calibrate - --calibrate-tokens 5 --force m.gguf d.gguf < text.txt; cmp -s c.gguf d.gguf || echo other
  other
  $ rwkv quantize --type q4_k --json --importance i.gguf m.gguf e.gguf 2>/dev/null | grep -E 'token_embd|output.weight' | sed 's/: [0-9.e-]*[0-9]\([,}]\)/: N\1/g'
      {"name": "token_embd.weight", "shape": [256, 256], "from": "F16", "to": "Q4_K", "elements": N, "bytes": N, "bits": N, "error": N, "max_error": N},
      {"name": "token_embd_norm.weight", "shape": [256], "from": "F32", "to": "F32", "elements": N, "bytes": N, "bits": N, "error": N, "max_error": N},
      {"name": "token_embd_norm.bias", "shape": [256], "from": "F32", "to": "F32", "elements": N, "bytes": N, "bits": N, "error": N, "max_error": N},
      {"name": "blk.0.time_mix_output.weight", "shape": [256, 256], "from": "F16", "to": "Q4_K", "elements": N, "bytes": N, "bits": N, "error": N, "max_error": N, "weighted_error": N},
      {"name": "output.weight", "shape": [256, 256], "from": "F16", "to": "Q6_K", "elements": N, "bytes": N, "bits": N, "error": N, "max_error": N, "weighted_error": N}
  $ rwkv quantize --type q4_k --importance m.gguf m.gguf f.gguf
  ! rwkv: m.gguf: wanted the importance of inputs, as 'rwkv quantize --importance-out' writes it, found no tensor NAME.in_sum2
  [1]
  $ rwkv quantize --type q8_0 --vocab ascii.txt --importance i.gguf small.pth f.gguf
  ! rwkv: blk.0.time_mix_w1.weight: wanted the importance of 64 inputs, found that of 256: it was measured on another model
  [1]
  $ : > empty.txt; rwkv quantize --type q4_k --calibrate empty.txt m.gguf f.gguf
  ! rwkv: empty.txt: wanted a text, found nothing
  [1]
  $ rwkv quantize --type q4_k --calibrate nothing.txt m.gguf f.gguf
  ! rwkv: nothing.txt: cannot open: No such file or directory
  [1]
  $ rwkv quantize --type q4_k --calibrate text.txt --importance-out i.dat m.gguf f.gguf
  ! rwkv: i.dat: wanted a name that ends in .gguf
  [1]

Command lines that contradict themselves.

  $ rwkv quantize m.gguf f.gguf
  ! rwkv: quantize: wanted --type (see 'rwkv quantize --help')
  [2]
  $ rwkv quantize --type f16 m.gguf f.gguf
  ! rwkv: quantize: option '--type': wanted q8_0, q6_k, q5_k, q4_k, q3_k, q2_k, q5_1, q5_0, q4_1, q4_0, iq4_nl or iq4_xs, found 'f16' (see 'rwkv quantize --help')
  [2]
  $ rwkv quantize --type q4_k --calibrate text.txt --importance i.gguf m.gguf f.gguf
  ! rwkv: quantize: --calibrate measures what --importance reads: wanted one of them (see 'rwkv quantize --help')
  [2]
  $ rwkv quantize --type q4_k --importance-out i.gguf m.gguf f.gguf
  ! rwkv: quantize: --importance-out wants --calibrate with it (see 'rwkv quantize --help')
  [2]
  $ rwkv quantize --type q4_k m.gguf
  ! rwkv: quantize: wanted IN OUT, found only 'm.gguf' (see 'rwkv quantize --help')
  [2]

Errors leave nothing behind.

  $ mkdir out
  $ rwkv quantize --type q4_k m.gguf q4_k.gguf
  ! rwkv: q4_k.gguf: exists already
  [1]
  $ rwkv quantize --type q4_k m.gguf out/m.pth
  ! rwkv: out/m.pth: wanted a name that ends in .gguf
  [1]
  $ rwkv quantize --type q4_k nothing.pth out/m.gguf
  ! rwkv: nothing.pth: cannot open: No such file or directory
  [1]
  $ rwkv quantize --type q4_k m.gguf out
  ! rwkv: out: wanted a name that ends in .gguf
  [1]
  $ rwkv quantize --type q4_k small.pth out/m.gguf 2>&1 | sed 's/:[^:]*put.*looked at:.*/: .../'
  rwkv: no vocabulary found: ...
  $ head -c 100000 m.gguf > cut.gguf; rwkv quantize --type q4_k cut.gguf out/m.gguf 2>&1 | sed 's/[0-9][0-9]*/N/g'
  rwkv: cut.gguf: tensor "token_embd.weight": wanted N bytes at offset N, found N bytes of data in all
  $ rwkv quantize --type q4_k i.gguf out/m.gguf
  ! rwkv: i.gguf: wanted an RWKV-7 model, found a GGUF file that names no architecture
  [1]
  $ ls out

A number that is none.

  $ cp m.gguf nan.gguf && at=$(($(stat -c %s m.gguf) - 100)) && printf '\377\377' | dd of=nan.gguf bs=1 seek=$at conv=notrunc 2>/dev/null
  > rwkv quantize --type q4_k nan.gguf out/m.gguf; ls out
  ! rwkv: nan.gguf: tensor output.weight: row 255, column 206: wanted a magnitude of at most 65504 for type Q6_K, found nan

A disk that fills up; killed and interrupted in the middle: the old file stays, or none.

  $ (trap '' XFSZ; ulimit -f 200; rwkv quantize --type q8_0 m.gguf out/m.gguf) 2>&1 | sed 's/ at byte [0-9]*//'; ls out
  rwkv: out/m.gguf: cannot write: File too large
  $ cat > small.sh <<'END'
  > mount -t tmpfs -o size=100k none out || exit 9
  > rwkv quantize --type q8_0 m.gguf out/m.gguf; status=$?; ls out; exit $status
  > END
  > if unshare -rm sh -c 'mount -t tmpfs none out' 2>/dev/null
  > then unshare -rm sh small.sh 2>&1 | sed 's/ at byte [0-9]*//'
  > else echo "rwkv: out/m.gguf: cannot write: No space left on device"; fi
  rwkv: out/m.gguf: cannot write: No space left on device
  $ cat > killed.sh <<'END'
  > ulimit -c 0; ulimit -f 200; rwkv quantize -q --type q8_0 --force m.gguf $1; echo "status $?"
  > END
  > sh killed.sh out/m.gguf 2>/dev/null; ls out
  status 153
  $ cp small.gguf out/m.gguf; sh killed.sh out/m.gguf 2>/dev/null; cmp small.gguf out/m.gguf && ls out
  status 153
  m.gguf
  $ rm out/*; rwkv bench --make 2,1024,16384,f16 --prompt 0 --decode 0 --batch 0 --keep large.gguf
  > rwkv quantize -t 1 --type q2_k large.gguf out/m.gguf & p=$!
  > until ls -l /proc/$p/fd | grep -q "$PWD/out"; do sleep 0.01; done; kill -INT $p; wait $p; echo "status $?"; ls out
  status 130
  ! rwkv: interrupted, out/m.gguf was not written
