A script talks with a model: answers on standard output, remarks on standard error.

  $ cp "$DATA/rwkv7/long-f16.pth" m.pth
  > awk 'BEGIN { for (i = 1; i < 128; i++) printf "%d \"\\x%02x\" 1\n", i, i }' > rwkv_vocab_v20230424.txt
  $ printf 'hello\nand then?\n' | rwkv chat -m m.pth --greedy -n 10 > two; wc -l < two
  2
  $ printf '' | rwkv chat -m m.pth
  $ printf '\n \n' | rwkv chat -m m.pth

Commands and their remarks.

  $ printf '/help\n' | rwkv chat -m m.pth
  !   /help                 this list
  !   /reset                begin a new conversation
  !   /regen                answer the last message anew
  !   /undo                 take back the last message and its answer
  !   /save   FILE          save the conversation's state
  !   /load   FILE          go on from a saved state
  !   /branch [NAME]        list branches; go to one, or begin it here
  !   /system [TEXT]        begin anew with (or without) a system text
  !   /think  [MODE]        off, on, fast, short or long
  !   /set    [NAME VALUE]  list or change settings: temp, top-p, max-tokens, ...
  !   /quit                 end the conversation, as Ctrl-D does
  ! A line that ends with \ goes on; """ begins and ends a block of lines.
  ! A message that begins with / is written with two of them.
  $ printf '/branch\n/branch side\n/branch\n/branch main\n/quit\nnot read\n' | rwkv chat -m m.pth
  ! * main: 0 turns
  ! (branch side begins here, in main)
  !   main: 0 turns
  ! * side: 0 turns
  ! (in branch main)
  $ printf '/think\n/think fast\n/reset\n/system Be brief.\n/system\n' | rwkv chat -m m.pth
  ! (think: off)
  ! (think: fast)
  ! (a new conversation)
  ! (a new conversation, with a system text)
  ! (a new conversation, without a system text)
  $ printf '/set temp 0.25\n/set greedy on\n/set seed 5\n/set\n' | rwkv chat -m m.pth
  !   temp           0.25
  !   top-p          0.3
  !   top-k          0
  !   min-p          0
  !   typical        0
  !   presence       0.5
  !   frequency      0.5
  !   penalty-decay  0.996
  !   order          rwkv
  !   greedy         on
  !   seed           5
  !   max-tokens     2048

What goes wrong is said, the conversation goes on, and the exit status remembers.

  $ printf '/hepl\n/nothing\n/undo\n/regen\n/save\n/load\n/load nothing.state\n/think hard\n/set tmp 1\n/set temp\n/set temp x\n/set greedy 3\n/branch\n' |
  > rwkv chat -m m.pth
  ! rwkv: unknown command '/hepl': did you mean '/help'?
  ! rwkv: unknown command '/nothing' (/help lists them)
  ! rwkv: /undo: this is the beginning
  ! rwkv: /regen: there is no answer yet
  ! rwkv: /save: wanted FILE, found nothing
  ! rwkv: /load: wanted FILE, found nothing
  ! rwkv: nothing.state: cannot open: No such file or directory
  ! rwkv: 'think': wanted off, on, fast, short or long, found 'hard'
  ! rwkv: /set: unknown option 'tmp': did you mean 'temp'?
  ! rwkv: /set: 'temp' needs a value
  ! rwkv: /set: 'temp': wanted a number from 0 to 100, found 'x'
  ! rwkv: /set: 'greedy': wanted on or off, found '3'
  ! * main: 0 turns
  [1]

The state is that of the text as it should have been said: User, Assistant, blank lines between.

  $ printf 'one\n/save one.state\ntwo\n/save two.state\n' | rwkv chat -m m.pth --greedy -n 12 > answers
  ! (saved in one.state)
  ! (saved in two.state)
  $ { printf 'User: one\n\nAssistant: '; head -n 1 answers; printf '\n'; } > one.txt
  > rwkv run -m m.pth -n 0 --state-out want.state -f one.txt; cmp want.state one.state

Undo, regen, branch and load come to the same states.

  $ printf 'one\nother\n/undo\n/save a.state\n/branch side\nother\n/branch main\n/save b.state\ntwo\n/regen\n/save c.state\n/load one.state\ntwo\n/save d.state\n' |
  > rwkv chat -m m.pth --greedy -n 12 > /dev/null
  ! (the last message and its answer are taken back)
  ! (saved in a.state)
  ! (branch side begins here, in main)
  ! (in branch main)
  ! (saved in b.state)
  ! (saved in c.state)
  ! (loaded from one.state)
  ! (saved in d.state)
  $ cmp a.state one.state && cmp b.state one.state && cmp c.state two.state
  $ printf 'one\n' | rwkv chat -m m.pth --greedy -n 12 --state-out e.state > /dev/null && cmp e.state one.state

A conversation goes on from a state given at the start.

  $ printf 'two\n/save f.state\n' | rwkv chat -m m.pth --greedy -n 12 --state-in one.state > /dev/null && cmp d.state f.state
  ! (saved in f.state)

The system text comes first.

  $ printf 'one\n/save s.state\n' | rwkv chat -m m.pth --greedy -n 12 --system "Be brief." > answer
  ! (saved in s.state)
  $ { printf 'System: Be brief.\n\nUser: one\n\nAssistant: '; cat answer; printf '\n'; } > s.txt
  > rwkv run -m m.pth -n 0 --state-out want.state -f s.txt; cmp want.state s.state
  $ printf '/system Be brief.\none\n/save t.state\n' | rwkv chat -m m.pth --greedy -n 12 > /dev/null; cmp s.state t.state
  ! (a new conversation, with a system text)
  ! (saved in t.state)

Thoughts are not part of the history. This model would think of ">" only.

  $ printf 'one\n/save u.state\n' | rwkv chat -m m.pth --think fast --logit-bias 62=100 -n 4
  >>>
  ! (saved in u.state)
  $ printf 'User: one\n\nAssistant: >>>\n\n' > u.txt
  > rwkv run -m m.pth -n 0 --state-out want.state -f u.txt; cmp want.state u.state

A thought appears between marks of its own; the model is made to think of a, and never ends.

  $ printf 'one\n' | rwkv chat -m m.pth --think on --logit-bias 97=100 -n 3
  <think>
  aaa

Messages of several lines: a backslash at the end of a line, or three quotes around them.

  $ printf 'a\\\nb\n/save a.state\n' | rwkv chat -m m.pth --greedy -n 5 2>/dev/null > a
  $ printf '"""\na\nb"""\n/save b.state\n' | rwkv chat -m m.pth --greedy -n 5 2>/dev/null > b
  $ printf '"""a\n\nb"""\n/save c.state\n' | rwkv chat -m m.pth --greedy -n 5 2>/dev/null > c
  $ cmp a b && cmp a c && cmp a.state c.state
  $ printf '//slash\n/save a.state\n' | rwkv chat -m m.pth --greedy -n 5 2>/dev/null > a
  > { printf 'User: /slash\n\nAssistant: '; cat a; printf '\n'; } > a.txt
  > rwkv run -m m.pth -n 0 --state-out want.state -f a.txt; cmp want.state a.state

Any bytes may be said.

  $ rwkv bench --make 2,64,256,f32 --prompt 0 --decode 0 --keep bytes.gguf
  $ printf 'a\377\300b\0c\n' | rwkv chat -m bytes.gguf -n 5 > answer && [ -s answer ]

Ctrl-C stops the answer and not the program.

  $ mkfifo lines; rwkv chat -m m.pth -n 100000000 --logit-bias 0=-inf < lines > long.txt 2> remarks & chat=$!
  > exec 3> lines; echo "go on" >&3; while [ ! -s long.txt ]; do sleep 0.05; done; kill -INT $chat
  > echo /branch >&3; exec 3>&-; wait $chat; echo "status $?"; cat remarks
  status 0
  * main: 1 turn

A state of another model, no model, and a full disk.

  $ printf '/load one.state\n' | rwkv chat -m bytes.gguf
  ! rwkv: one.state: a state of another model: wanted a vocabulary of 256, found 128
  [1]
  $ rwkv chat -m bytes.gguf --state-in one.state
  ! rwkv: one.state: a state of another model: wanted a vocabulary of 256, found 128
  [1]
  $ rwkv chat -m nothing.pth
  ! rwkv: nothing.pth: cannot open: No such file or directory
  [1]
  $ printf 'hello\n' | rwkv chat -m m.pth -n 5 > /dev/full
  ! rwkv: standard output: No space left on device
  [1]
