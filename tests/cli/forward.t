Logits, hidden states and state, as tensors in a file.

  $ cp "$DATA/rwkv7/long-f16.pth" m.pth; echo "1 2 3, 4" > ids.txt; printf '5\n6\t7\n' >> ids.txt
  > rwkv forward m.pth --tokens ids.txt --out all.safetensors && rwkv info --tensors all.safetensors
  logits             F32       [7, 128]
  hidden             F32       [7, 64]
  state.0.att_shift  F32       [64]
  state.0.ffn_shift  F32       [64]
  state.0.wkv        F32       [1, 64, 64]
  state.1.att_shift  F32       [64]
  state.1.ffn_shift  F32       [64]
  state.1.wkv        F32       [1, 64, 64]
  all.safetensors: safetensors, 8 tensors, 38.2 KiB
  $ rwkv forward m.pth --tokens 1,2,3,4,5,6,7 --out list.safetensors
  > cmp all.safetensors list.safetensors
  $ rwkv forward "$DATA/rwkv7/long-f16.safetensors" --tokens '1, 2,3 4 5,6,7' -o st.safetensors
  > cmp all.safetensors st.safetensors

The last token's only.

  $ rwkv forward m.pth --tokens ids.txt --last --out last.safetensors
  > rwkv info --tensors last.safetensors | head -n 2
  > rwkv info --checksums all.safetensors | grep state > a; rwkv info --checksums last.safetensors | grep state | cmp - a
  logits             F32       [1, 128]
  hidden             F32       [1, 64]

The model may be named as for the other commands; without one it is the built-in model.

  $ rwkv forward -m m.pth --tokens ids.txt --out o.safetensors && cmp o.safetensors all.safetensors
  $ rwkv forward --tokens 1 --out o.safetensors && rwkv info --tensors o.safetensors | grep -c '^logits  *F32  *.1, '
  1

The numbers do not depend on threads, chunks, or where the text is cut.

  $ for o in "--threads 1" "--threads 2" "--threads 3" "--chunk 1" "--chunk 2" "--chunk 4096"
  > do rwkv forward m.pth --tokens ids.txt --out o.safetensors $o
  > cmp o.safetensors all.safetensors; done
  $ rwkv forward m.pth --tokens 1,2,3 --out half.safetensors --state-out half.state
  > rwkv forward m.pth --tokens 4,5,6,7 --last --out rest.safetensors --state-in half.state
  > cmp rest.safetensors last.safetensors

Tokens from a tensor.

  $ cat > tokens.py <<'END'
  > import json, struct, sys
  > dtype, form = ("I32", "<i") if sys.argv[1] == "I32" else ("I64", "<q")
  > data = b"".join(struct.pack(form, int(x)) for x in sys.argv[2:])
  > head = json.dumps({"tokens": {"dtype": dtype, "shape": [len(sys.argv) - 2],
  >                               "data_offsets": [0, len(data)]}}).encode()
  > sys.stdout.buffer.write(struct.pack("<Q", len(head)) + head + data)
  > END
  > python3 tokens.py I32 1 2 3 4 5 6 7 > i32.safetensors; python3 tokens.py I64 1 2 3 4 5 6 7 > i64.safetensors
  > for t in i32 i64; do rwkv forward m.pth --tokens $t.safetensors --out o.safetensors
  > cmp o.safetensors all.safetensors; done

Errors: ids out of range, no ids, no file, a file that is something else.

  $ rwkv forward m.pth --tokens 1,128 --out o.safetensors
  ! rwkv: token 1: wanted an id of 0 to 127, found 128
  [1]
  $ rwkv forward m.pth --tokens 1,4294967297 --out o.safetensors
  ! rwkv: --tokens: byte 2: wanted a token id from 0 to 2147483647, found '4294967297'
  [1]
  $ rwkv forward m.pth --tokens "," --out o.safetensors
  ! rwkv: --tokens: wanted at least one token id, found none
  [1]
  $ rwkv forward m.pth --tokens -1 --out o.safetensors
  ! rwkv: --tokens: byte 0: wanted a token id from 0 to 2147483647, found '-1'
  [1]
  $ rwkv forward m.pth --tokens nothing.txt --out o.safetensors
  ! rwkv: nothing.txt: cannot open: No such file or directory
  [1]
  $ rwkv forward m.pth --tokens tokens.py --out o.safetensors
  ! rwkv: tokens.py: byte 0: wanted a token id from 0 to 2147483647, found 'import'
  [1]
  $ rwkv forward m.pth --tokens all.safetensors --out o.safetensors
  ! rwkv: all.safetensors: wanted a tensor 'tokens', found none
  [1]
  $ python3 tokens.py I64 1 -5 > minus.safetensors
  > rwkv forward m.pth --tokens minus.safetensors --out o.safetensors
  ! rwkv: minus.safetensors: tokens: 1: wanted an id, found -5
  [1]
  $ python3 tokens.py I64 > none.safetensors
  > rwkv forward m.pth --tokens none.safetensors --out o.safetensors
  ! rwkv: --tokens: wanted at least one token id, found none
  [1]
  $ rm -f o.safetensors
  > rwkv forward m.pth --tokens 1 --out no/where.safetensors; rwkv forward m.pth --tokens 1 --out o.txt
  ! rwkv: no/where.safetensors: cannot create: No such file or directory
  ! rwkv: o.txt: wanted a name that ends in .safetensors or .pth
  [1]
  $ rwkv forward m.pth --tokens 1 --out o.safetensors --state-out no/where.state; [ ! -e o.safetensors ]
  ! rwkv: no/where.state: cannot create: No such file or directory
  $ rwkv forward m.pth --tokens 1 --out o.safetensors --memory-limit 10K
  ! rwkv: m.pth: not enough memory: * (glob)
  [1]
  $ head -c 200000 /dev/zero | tr '\0' ' ' | sed 's/  /1 /g' > many.txt
  > rwkv forward m.pth --tokens many.txt --out o.safetensors --memory-limit 10M
  ! rwkv: the logits of 100000 tokens need 73.2 MiB, more than is available: use --last
  [1]
  $ [ ! -e o.safetensors ]
