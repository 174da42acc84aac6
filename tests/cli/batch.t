A small model with random weights and a byte vocabulary, and requests of different lengths.

  $ rwkv bench --make 2,64,256,f32 --prompt 0 --decode 0 --keep m.gguf > /dev/null
  $ awk 'BEGIN { for (i = 1; i <= 60; i++) { s = ""; for (k = 0; k < i % 7 * 9 + 1; k++) s = s sprintf("%c", 97 + (i * k) % 26)
  > printf "{\"prompt\": \"%s\", \"max_tokens\": %d, \"id\": %d}\n", s, 1 + i * 7 % 50, 1000 - i } }' > in.jsonl
  $ rwkv batch -q -m m.gguf in.jsonl -o out.jsonl && wc -l < out.jsonl
  60

Answers come in the order of the requests, and each is what `rwkv run` gives alone.

  $ sed -n '1p;60p' out.jsonl | sed 's/"text": "[^ ]*"/TEXT/; s/"text": ".*", "f/TEXT, "f/'
  {"line": 1, "id": 999, TEXT, "finish": "length", "tokens": {"prompt": 10, "generated": 8}, "seed": 0}
  {"line": 60, "id": 940, TEXT, "finish": "length", "tokens": {"prompt": 37, "generated": 21}, "seed": 59}
  $ cat > alone.py <<'END'
  > import json, subprocess, sys
  > for request, answer in zip(open("in.jsonl"), open("out.jsonl")):
  >     r, a = json.loads(request), json.loads(answer)
  >     if a["line"] % 6 == 0:
  >         alone = subprocess.run(["rwkv", "run", "-m", "m.gguf", "--seed", str(a["seed"]), "-n", str(r["max_tokens"]),
  >             "--json", r["prompt"]], check=True, capture_output=True).stdout
  >         print("same" if json.loads(alone)["text"] == a["text"] else (a, alone))
  > END
  $ python3 alone.py | uniq -c | sed 's/  *//'
  10 same

How many are at work, threads, chunks and pipes change nothing.

  $ for o in "--parallel 1" "--parallel 5 -t 1" "--parallel 64 --chunk 16" "--parallel 3 --chunk 2"
  > do rwkv batch -q -m m.gguf $o < in.jsonl | cmp - out.jsonl; done
  $ cat in.jsonl | rwkv batch -q -m m.gguf --parallel 7 - -o /dev/stdout | cmp - out.jsonl

It works as its input comes: an answer is there before the next request.

  $ mkfifo requests; : > live.jsonl; rwkv batch -q -m m.gguf < requests > live.jsonl & run=$!
  > exec 3> requests; for i in 1 2 3; do echo '{"prompt": "abc", "max_tokens": 3}' >&3
  > while [ "$(wc -l < live.jsonl)" -lt $i ]; do sleep 0.02; done; done; exec 3>&-; wait $run; wc -l < live.jsonl
  3

Killed at any moment and resumed until it is done, the file is the same.

  $ echo '{"prompt": "torn' > torn; rwkv batch -q -m m.gguf in.jsonl -o cut.jsonl
  > for at in 1 500 5000 $(wc -c < cut.jsonl); do head -c $((at - 1)) out.jsonl > cut.jsonl
  > rwkv batch -q -m m.gguf in.jsonl -o cut.jsonl --resume --parallel 9 && cmp cut.jsonl out.jsonl; done
  $ rm requests; mkfifo requests; : > killed.jsonl; for n in 10 25 45; do before=$(wc -c < killed.jsonl)
  > rwkv batch -q -m m.gguf - -o killed.jsonl --resume --parallel 4 < requests & run=$!
  > { head -n $n in.jsonl; exec sleep 99; } > requests & writer=$!
  > while [ "$(wc -c < killed.jsonl)" -le $before ]; do sleep 0.02; done
  > { kill -9 $run $writer; wait $run; } 2> /dev/null; echo "status $?"; done
  status 137
  status 137
  status 137
  $ rwkv batch -q -m m.gguf in.jsonl -o killed.jsonl --resume && cmp killed.jsonl out.jsonl

So it is after Ctrl-C, which says how to go on.

  $ rwkv batch -q -m m.gguf - -o int.jsonl < requests 2> said & run=$!
  > { head -n 20 in.jsonl; exec sleep 99; } > requests & writer=$!
  > while [ ! -s int.jsonl ]; do sleep 0.05; done; kill -INT $run; wait $run; echo "status $?"; kill $writer
  > sed 's/[0-9][0-9]*/N/' said
  status 130
  rwkv: stopped after N answers; --resume goes on
  $ rwkv batch -q -m m.gguf in.jsonl -o int.jsonl --resume && cmp int.jsonl out.jsonl

A finished file stays as it is, and more requests at the end are answered.

  $ rwkv batch -q -m m.gguf in.jsonl -o int.jsonl --resume && cmp int.jsonl out.jsonl
  $ cp in.jsonl more.jsonl; printf '\n  \n{"prompt": "abc", "max_tokens": 2}' >> more.jsonl
  > rwkv batch -q -m m.gguf more.jsonl -o int.jsonl --resume && tail -n 1 int.jsonl | cut -c 1-11
  {"line": 63

Nothing is overwritten by accident.

  $ rwkv batch -q -m m.gguf in.jsonl -o out.jsonl
  ! rwkv: out.jsonl: is there already: --resume goes on with it, --force replaces it
  [1]
  $ cp out.jsonl forced.jsonl; rwkv batch -q -m m.gguf in.jsonl -o forced.jsonl --force && cmp forced.jsonl out.jsonl
  $ rwkv batch -q -m m.gguf in.jsonl -o in.jsonl --resume
  ! rwkv: in.jsonl: the answers would overwrite the requests
  [1]
  $ rwkv batch -q -m m.gguf in.jsonl -o torn --resume
  ! rwkv: torn: wanted answers to go on with, found a last line that is none
  [1]
  $ cat torn
  {"prompt": "torn
  $ head -n 3 in.jsonl > few.jsonl; rwkv batch -q -m m.gguf few.jsonl -o forced.jsonl --resume
  ! rwkv: forced.jsonl: answers line 60 already, and few.jsonl has only 3 lines
  [1]
  $ rwkv batch -q -m m.gguf in.jsonl --resume
  ! rwkv: --resume goes on with a file: wanted --out
  [1]
  $ rwkv batch -q -m m.gguf in.jsonl -o no/where.jsonl
  ! rwkv: no/where.jsonl: cannot create: No such file or directory
  [1]
  $ rwkv batch -q -m m.gguf in.jsonl > /dev/full
  ! rwkv: standard output: No space left on device
  [1]
  $ rwkv batch -q -m m.gguf in.jsonl -o /dev/full
  ! rwkv: /dev/full: cannot write: No space left on device
  [1]

What is wrong with a line stands in its answer; the others are answered.

  $ cat > bad.jsonl <<'END'
  > {"prompt": "a", "max_tokens": 1}
  > no json
  > {"prompt": "a", "id": [1, {"x": null}], "temperature": "hot"}
  > [1, 2]
  > {"text": "a"}
  > {"prompt": "a", "messages": []}
  > {"prompt": 5}
  > {"prompt": "a", "top_p": 1.5}
  > {"prompt": "a", "top_k": 2.5}
  > {"prompt": "a", "max_tokens": 0}
  > {"prompt": "a", "seed": -1}
  > {"prompt": "a", "stop": ["b", ""]}
  > {"prompt": "a", "stop": {"b": 1}}
  > {"prompt": "a", "prompt": "b"}
  > {"prompt": ""}
  > {"messages": "hello"}
  > {"messages": [{"role": "robot", "content": "x"}]}
  > {"messages": [{"role": "user"}]}
  > {"messages": [{"role": "user", "content": "x"}], "think": "hard"}
  > {"prompt": "b", "max_tokens": 1, "id": null, "top_p": null, "other": 5}
  > END
  $ rwkv batch -q -m m.gguf bad.jsonl | sed 's/"text": "[^,]*", /TEXT, /; s/"error": "byte .*"/"error": "byte N"/'
  {"line": 1, TEXT, "finish": "length", "tokens": {"prompt": 1, "generated": 1}, "seed": 0}
  {"line": 2, "error": "byte N"}
  {"line": 3, "id": [1,{"x":null}], "error": "temperature: wanted a number, found a string"}
  {"line": 4, "error": "wanted an object, found a list"}
  {"line": 5, "error": "wanted prompt or messages, found neither"}
  {"line": 6, "error": "wanted prompt or messages, found both"}
  {"line": 7, "error": "prompt: wanted a string, found an integer"}
  {"line": 8, "error": "top_p: wanted a number from 0 to 1, found 1.5"}
  {"line": 9, "error": "top_k: wanted an integer, found a real number"}
  {"line": 10, "error": "max_tokens: wanted an integer from 1 to 9223372036854775807, found 0"}
  {"line": 11, "error": "seed: wanted an integer from 0 to 9223372036854775807, found -1"}
  {"line": 12, "error": "stop: wanted some text, found an empty string"}
  {"line": 13, "error": "stop: wanted a string, found an object"}
  {"line": 14, "error": "byte N"}
  {"line": 15, "error": "the prompt is empty, and this vocabulary has no token that begins a text"}
  {"line": 16, "error": "messages: wanted a list of messages, found a string"}
  {"line": 17, "error": "role: wanted system, user or assistant, found 'robot'"}
  {"line": 18, "error": "content: wanted a string, found nothing"}
  {"line": 19, "error": "think: wanted off, on, fast, short or long, found 'hard'"}
  {"line": 20, "id": null, TEXT, "finish": "length", "tokens": {"prompt": 1, "generated": 1}, "seed": 19}
  ! rwkv: 18 of 20 lines failed: their answers say why

Options hold for all lines, and a line's own come first. Stop sequences are not part of a text.

  $ printf '%s\n' '{"prompt": "x"}' '{"prompt": "x", "max_tokens": 2}' '{"prompt": "x", "stop": "aaa"}' '{"prompt": "x", "stop": ["q", "a"], "seed": 5}' > o.jsonl
  $ rwkv batch -q -m m.gguf o.jsonl --logit-bias 97=100 -n 5 --seed 40 --stop aaaa
  {"line": 1, "text": "", "finish": "stop", "tokens": {"prompt": 1, "generated": 4}, "seed": 40}
  {"line": 2, "text": "aa", "finish": "length", "tokens": {"prompt": 1, "generated": 2}, "seed": 41}
  {"line": 3, "text": "", "finish": "stop", "tokens": {"prompt": 1, "generated": 3}, "seed": 42}
  {"line": 4, "text": "", "finish": "stop", "tokens": {"prompt": 1, "generated": 1}, "seed": 5}
  $ rwkv batch -q -m m.gguf o.jsonl --logit-bias 97=100 --stop-token 97 | head -n 1
  {"line": 1, "text": "", "finish": "end", "tokens": {"prompt": 1, "generated": 0}, "seed": 0}

A prompt may hold any character, and all can share a beginning.

  $ rwkv run -m m.gguf -n 0 --state-out begin.state "$(printf 'Some \303\244')"
  $ printf '{"prompt": "\\u0000\\u00e4 b", "max_tokens": 20}\n{"prompt": "", "max_tokens": 20}\n' > any.jsonl
  > rwkv batch -q -m m.gguf any.jsonl --state-in begin.state > any.out
  > printf '\0\303\244 b' | rwkv run -m m.gguf --seed 0 -n 20 --state-in begin.state --json - | grep '"text"' | sed 's/.*"text": //; s/,$//' > text1
  > rwkv run -m m.gguf --seed 1 -n 20 --state-in begin.state --json "" | grep '"text"' | sed 's/.*"text": //; s/,$//' > text2
  > python3 -c 'import json; print([json.loads(a)["text"] == json.loads(open(b).read()) for a, b in zip(open("any.out"), ("text1", "text2"))])'
  [True, True]

Messages become the text of a chat; the answer is without blanks in front, a thought within it.

  $ printf '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, {"role": "user", "content": "z"}]%s}\n' '' ', "think": "on"' > chat.jsonl
  $ rwkv batch -q -m m.gguf chat.jsonl --logit-bias 97=100 -n 3
  {"line": 1, "text": "aaa", "finish": "length", "tokens": {"prompt": 42, "generated": 3}, "seed": 0}
  {"line": 2, "text": "<thinkaaa", "finish": "length", "tokens": {"prompt": 49, "generated": 3}, "seed": 1}
  $ rwkv batch -q -m m.gguf chat.jsonl --think on --logit-bias 32=100 -n 3 | sed -n 1p
  {"line": 1, "text": "<think   ", "finish": "length", "tokens": {"prompt": 49, "generated": 3}, "seed": 0}

At the end it says how much it was; nothing at all is fine.

  $ rwkv batch -m m.gguf o.jsonl -n 2 2>&1 > /dev/null | tail -n 1 | sed 's/[0-9][0-9.]* m*s/T/; s/: .*/: N/'
  4 answers, 12 tokens in T: N
  $ rwkv batch -q -m m.gguf < /dev/null
  $ rwkv batch -q -m m.gguf nothing.jsonl
  ! rwkv: nothing.jsonl: cannot open: No such file or directory
  [1]
  $ rwkv batch -m m.gguf -n 0 o.jsonl
  ! rwkv: batch: --max-tokens: wanted at least 1, found 0 (see 'rwkv batch --help')
  [2]
