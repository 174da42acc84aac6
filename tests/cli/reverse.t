The example that learns to reverse numbers, in miniature: numbers of one and two digits.

  $ export LONGEST=2 ROWS=2000 BATCH=32 STEPS=400 MORE=200 EACH=20
  > sh "$SOURCE/examples/reverse/run.sh" work "$(command -v rwkv)" 2> log
  > tail -n 1 log
  numbers: 4636 documents, 24000 tokens, 0.807 bytes of text a token
  from 1 file, * (glob)
  digits  60 of 60 right, 100.000 %, each after a right beginning
  digits  60 of 60 right, 100.000 %
  numbers 40 of 40 right, 100.00 %
  step 200  written: second/reverse.pth

Its documents fill windows of 2 longest + 8 tokens, with longer numbers too: none goes on from one window to the next.

  $ awk -v seed=1 -v longest=6 -v rows=50 -f "$SOURCE/examples/reverse/numbers.awk" > numbers.jsonl
  > rwkv data build -q --vocab "$SOURCE/examples/reverse/vocab.txt" --prompt-field prompt numbers numbers.jsonl
  > rwkv data cat --ids --vocab "$SOURCE/examples/reverse/vocab.txt" numbers | awk '
  > NF < 4 || NF > 14 || NF % 2 { print "a document of " NF " tokens" }
  > { left = left ? left - NF : 20 - NF } left < 0 { print "document " NR " goes on" } END { print left }'
  0

The rest of a row is of any length, and every length is asked for.

  $ tr -dc '0-9,\n' < numbers.jsonl | awk -F , '
  > { n[length($1)]++ } END { for (i = 1; i <= 7; i++) print i, (n[i] > 9) ? "often" : n[i] + 0 }'
  1 often
  2 often
  3 often
  4 often
  5 often
  6 often
  7 0
  $ awk -v seed=2 -v longest=3 -v each=2 -f "$SOURCE/examples/reverse/numbers.awk" | sed 's/[0-9]/#/g'
  {"prompt": "#,", "id": "#"}
  {"prompt": "#,", "id": "#"}
  {"prompt": "##,", "id": "##"}
  {"prompt": "##,", "id": "##"}
  {"prompt": "###,", "id": "###"}
  {"prompt": "###,", "id": "###"}
  $ awk -v seed=3 -v longest=3 -v each=1 -v single=1 -f "$SOURCE/examples/reverse/numbers.awk"
  {"prompt": "8,", "id": "8"}
  {"prompt": "25,", "id": "5"}
  {"prompt": "25,5", "id": "2"}
  {"prompt": "511,", "id": "1"}
  {"prompt": "511,1", "id": "1"}
  {"prompt": "511,11", "id": "5"}

What counts: a digit in its place, and nothing behind the last.

  $ printf '{"id": "%s", "text": "%s"}\n' 123 123 123 132 123 12 123 1234 123 '' 4 , > answers.jsonl
  > printf '{"id": "5", "error": "what is wrong"}\n' >> answers.jsonl
  > awk -f "$SOURCE/examples/reverse/grade.awk" answers.jsonl
  digits  9 of 17 right, 52.941 %
  numbers 1 of 7 right, 14.29 %
  $ head -n 4 answers.jsonl | awk -v single=1 -f "$SOURCE/examples/reverse/grade.awk"
  digits  9 of 12 right, 75.000 %, each after a right beginning

A digit more than the vocabulary has is named.

  $ printf '{"text": "1f,f1"}\n' > wrong.jsonl
  > rwkv data build -q --vocab "$SOURCE/examples/reverse/vocab.txt" wrong wrong.jsonl
  ! rwkv: wrong.jsonl: line 1: text, byte 1: wanted the beginning of a token of the vocabulary, found 0x66
  [1]
