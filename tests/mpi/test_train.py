#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rwkv train` by several processes: the losses of one, the same bits each time, and what happens
when processes are stopped, killed, or do not belong together.

    test_train.py RWKV"""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from launch import environment, expect, need_mpirun, run, together

RWKV = ""
STEPS = 50
SETTINGS = (
    "--data text --vocab bytes --layers 2 --embd 48 --head-size 16 --ctx 24 --batch 2"
    " --accumulate 3 --warmup 5 --order shuffled --held-out 0.03 --lr 2e-3"
    " --validate-every 20 --threads 1 --export model.safetensors --json"
).split()


def make_data():
    draw = random.Random(1)
    words = "the cat dog sat on a mat and ran to house tree small big old".split()
    text = " ".join(draw.choice(words) for _ in range(4000))
    Path("text.txt").write_text(text, encoding="ascii")
    result = run([RWKV, "data", "build", "--vocab", "bytes", "text", "text.txt"])
    expect(result.returncode == 0, "data are built", result)
    Path("other.txt").write_text(text[::-1], encoding="ascii")
    result = run([RWKV, "data", "build", "--vocab", "bytes", "other", "other.txt"])
    expect(result.returncode == 0, "other data are built", result)
    asked = [{"prompt": text[i : i + 5 + i % 40], "text": text[i : i + 9]} for i in range(900)]
    Path("asked.jsonl").write_text("\n".join(map(json.dumps, asked)), encoding="ascii")
    command = [RWKV, "data", "build", "--vocab", "bytes", "--prompt-field", "prompt"]
    result = run([*command, "asked", "asked.jsonl"])
    expect(result.returncode == 0, "prompts and answers are built", result)


def train(processes, *more):
    """The losses of steps and validations by their step, and the result."""
    command = [RWKV, "train", *more]
    result = run(together(processes, command) if processes > 1 else command)
    return losses(result.stdout), result


def losses(output):
    found = {}
    for line in output.splitlines():
        record = json.loads(line)
        if "loss" in record:
            expect((record["event"], record["step"]) not in found, "each event is told once")
            found[record["event"], record["step"]] = record["loss"]
    return found


def check_close(wanted, found, what):
    expect(set(found) <= set(wanted), f"{what}: the events of one process")
    worst = max(abs(wanted[key] - found[key]) for key in found)
    expect(worst <= 1e-5, f"{what}: losses within 1e-5, found {worst:.3g}")


def model(folder):
    return (Path(folder) / "model.safetensors").read_bytes()


def test_losses():
    wanted, result = train(1, "--out", "one", "--steps", STEPS, *SETTINGS)
    expect(result.returncode == 0 and len(wanted) == STEPS + 3, "one process trains", result)
    for processes in 2, 3, 4:
        found, result = train(processes, "--out", f"of{processes}", "--steps", STEPS, *SETTINGS)
        expect(result.returncode == 0, f"{processes} processes train", result)
        expect(len(found) == len(wanted), f"{processes} processes: every event", result)
        check_close(wanted, found, f"{processes} processes")
        expect(
            sorted(p.name for p in Path(f"of{processes}").iterdir() if "tfevents" not in p.name)
            == sorted(p.name for p in Path("one").iterdir() if "tfevents" not in p.name),
            f"{processes} processes leave the files of one",
        )
    return wanted


def test_answers():
    """Sequences have different numbers of targets; the mean is over all of them."""
    more = [*SETTINGS, "--data", "asked", "--answers-only", "--steps", 20]
    wanted, result = train(1, "--out", "asked1", *more)
    expect(result.returncode == 0, "one process learns answers", result)
    found, result = train(3, "--out", "asked3", *more)
    expect(result.returncode == 0 and len(found) == len(wanted), "3 processes learn them", result)
    check_close(wanted, found, "answers, 3 processes")


def test_same_bits():
    train(3, "--out", "again", "--steps", STEPS, *SETTINGS)
    expect(model("again") == model("of3"), "3 processes make the same bits twice")


def test_resume(wanted):
    """By 2 processes up to step 20, by 3 up to 30, by one to the end; twice: the same bits."""
    for folder in "mixed", "mixed2":
        for processes, stop, start in (2, 20, "--out"), (3, 30, "--resume"), (1, STEPS, "--resume"):
            more = SETTINGS if start == "--out" else ["--json"]
            # The schedule is that of the whole run; only its end is early.
            found, result = stop_at(processes, stop, start, folder, *more)
            expect(result.returncode == 0, f"{processes} processes, up to step {stop}", result)
            check_close(wanted, found, f"resumed by {processes}")
    expect(model("mixed") == model("mixed2"), "resumed by other numbers: the same bits twice")
    found, result = train(2, "--resume", "of2", "--json", "--steps", STEPS + 2)
    expect(
        result.returncode == 0 and ("step", STEPS + 2) in found, "2 processes go on, alike", result
    )


def stop_at(processes, stop, start, folder, *more):
    """Train up to step `stop` of STEPS: the next checkpoints are taken away."""
    found, result = train(
        processes, start, folder, "--steps", STEPS, "--checkpoint-every", 10, "--keep", 0, *more
    )
    if stop < STEPS:
        for path in Path(folder, "checkpoints").iterdir():
            if int(path.stem.split("-")[1]) > stop:
                path.unlink()
    return found, result


# --- ends --------------------------------------------------------------------------------------


def ranks(mpirun, processes):
    """The ids of the processes that mpirun has started, by rank."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            stat = (folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
            variables = (folder / "environ").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        if int(stat[1]) == mpirun:
            for variable in variables:
                if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                    found[int(variable.split(b"=")[1])] = int(folder.name)
    expect(len(found) == processes, f"the processes of mpirun are found: {found}")
    return found


def start_long_run(folder, processes):
    """A run without end that has passed its first checkpoint."""
    command = [RWKV, "train", "--out", folder, "--steps", 10**6, "--checkpoint-every", 5, *SETTINGS]
    job = subprocess.Popen(
        list(map(str, together(processes, command))),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(2000):
        if len(list(Path(folder).glob("checkpoints/step-*"))) > 1:
            return job
        expect(job.poll() is None, "the run goes on")
        time.sleep(0.05)
    job.kill()
    expect(False, "the run reaches its first checkpoint")
    return None


def newest(folder):
    names = Path(folder).glob("checkpoints/step-*.safetensors")
    return max(int(p.stem.split("-")[1]) for p in names)


def end(job, which, number):
    os.kill(which, number)
    err = job.communicate(timeout=200)[1]
    return subprocess.CompletedProcess([], job.returncode, "", err)


def go_on(folder, processes):
    at = newest(folder)
    found, result = train(processes, "--resume", folder, "--steps", at + 3, "--json")
    expect(
        result.returncode == 0 and {step for kind, step in found if kind == "step"}
        == {at + 1, at + 2, at + 3},
        f"{folder}: {processes} processes go on from step {at}",
        result,
    )


def test_stop():
    """A signal to one process saves and ends all; one to mpirun, which waits a second, ends it."""
    for who in "mpirun", 0, 1:
        folder = f"stopped-{who}"
        job = start_long_run(folder, 2)
        if who == "mpirun":
            result = end(job, job.pid, signal.SIGINT)
            expect(result.returncode != 0, "mpirun ends as asked", result)
        else:
            result = end(job, ranks(job.pid, 2)[who], signal.SIGTERM)
            status = 128 + signal.SIGTERM
            expect(
                result.returncode == status and "stopped and saved" in result.stderr,
                f"SIGTERM to rank {who} stops all",
                result,
            )
        go_on(folder, 3)


def test_kill():
    """A process that dies ends the run, and mpirun says which."""
    for rank in 0, 2:
        folder = f"killed{rank}"
        job = start_long_run(folder, 3)
        result = end(job, ranks(job.pid, 3)[rank], signal.SIGKILL)
        expect(
            result.returncode != 0 and f"rank {rank} " in result.stderr
            and "Killed" in result.stderr,
            f"the death of rank {rank} ends all",
            result,
        )
        go_on(folder, 2)


# --- what cannot be ----------------------------------------------------------------------------


def refused(message, command):
    result = run(command)
    told = result.stderr.count(message)
    expect(result.returncode != 0 and told == 1, f"told once: {message}", result)


def test_refused():
    steps = ["--steps", STEPS, *SETTINGS]
    refused(
        "4 processes cannot share a step of 3 sequences",
        together(4, [RWKV, "train", "--out", "no", *steps, "--batch", 1]),
    )
    refused("nowhere.idx", together(3, [RWKV, "train", "--out", "no", *steps, "--data", "nowhere"]))
    refused(
        "no/where: cannot create", together(2, [RWKV, "train", "--out", "no/where", *steps])
    )
    first, second = ([RWKV, "train", "--out", "no", *steps, "--data", d] for d in ("text", "other"))
    refused(
        "process of rank 1: other: wanted the same data, vocabulary and sizes",
        [*together(1, first), ":", "-n", 1, *second],
    )
    refused(
        "process of rank 1: one: wanted the folder that all processes see, at step 0, found one",
        [*together(1, first), ":", "-n", 1, RWKV, "train", "--resume", "one"],
    )
    expect(not Path("no").exists(), "a run that is refused leaves nothing")


def main():
    global RWKV
    RWKV = os.path.abspath(sys.argv[1])
    need_mpirun()
    with tempfile.TemporaryDirectory(prefix="rwkv-mpi-") as folder:
        os.chdir(folder)
        make_data()
        wanted = test_losses()
        test_answers()
        test_same_bits()
        test_resume(wanted)
        test_stop()
        test_kill()
        test_refused()
        os.chdir("/")


main()
