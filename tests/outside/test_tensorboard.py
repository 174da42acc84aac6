# SPDX-License-Identifier: Apache-2.0
"""test_tensorboard.py PROGRAM: a run's event files in TensorBoard's own reader, against the lines
of log.jsonl; also those of a run that lost its last checkpoint and made steps again."""
import json
import math
import tempfile

import outside

accumulator = outside.need("tensorboard.backend.event_processing.event_accumulator")

NUMBERS = {"step": ("train", ["loss", "bits_per_byte", "learning_rate", "gradient_norm"]),
           "validation": ("validation", ["loss", "bits_per_byte"])}
SPEEDS = ["tokens_per_second", "share_of_peak"]


def logged(path):
    """{tag: [(step, value, time)]} of log.jsonl, and its samples [(step, text)]."""
    scalars, samples = {}, []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["kind"] == "sample":
            samples.append((record["step"], record["text"]))
            continue
        prefix, names = NUMBERS[record["kind"]]
        tags = [(f"{prefix}/{name}", name) for name in names]
        tags += [(f"speed/{name}", name) for name in SPEEDS if record["kind"] == "step"]
        for tag, name in tags:
            if record[name] is not None:
                scalars.setdefault(tag, []).append((record["step"], record[name], record["time"]))
    return scalars, samples


def shown(folder):
    """The same, as TensorBoard reads the event files."""
    events = accumulator.EventAccumulator(str(folder), size_guidance={
        accumulator.SCALARS: 0, accumulator.TENSORS: 0})
    events.Reload()
    scalars = {tag: [(e.step, e.value, e.wall_time) for e in events.Scalars(tag)]
               for tag in events.Tags()["scalars"]}
    samples = [(e.step, e.tensor_proto.string_val[0].decode()) for tag in events.Tags()["tensors"]
               for e in events.Tensors(tag)]
    return scalars, samples


def compare(folder, steps):
    (wanted, texts), (found, shown_texts) = logged(folder / "log.jsonl"), shown(folder)
    outside.check([s for s, _, _ in wanted["train/loss"]] == list(range(1, steps + 1)), "steps")
    outside.check(found.keys() == wanted.keys(), f"tags {sorted(found)}")
    for tag, rows in wanted.items():
        outside.check(len(found[tag]) == len(rows), f"{tag}: {len(found[tag])} of {len(rows)}")
        for (step, value, time), (a, b, c) in zip(rows, found[tag]):
            same = a == step and math.isclose(b, value, rel_tol=2e-7) and abs(c - time) < 1e-3
            outside.check(same, f"{tag}, step {step}: {value}, found {(a, b, c)}")
    # Of steps made again TensorBoard forgets the numbers, but keeps both texts.
    outside.check(texts and dict(shown_texts) == dict(texts), f"samples: {shown_texts}")
    return sum(map(len, wanted.values())), len(texts)


def main():
    with tempfile.TemporaryDirectory() as folder:
        rwkv = outside.Rwkv(folder)
        rwkv.train("--steps", 9, "--warmup", 2, "--held-out", 0.2, "--validate-every", 3,
                   "--checkpoint-every", 3, "--sample-every", 4, "--sample-tokens", 8)
        compare(rwkv.folder / "run", 9)
        (rwkv.folder / "run/checkpoints/step-0000000009.safetensors").unlink()
        rwkv("train", "-q", "--resume", "run", "--steps", 12)
        files = len(list((rwkv.folder / "run").glob("events.out.tfevents.*")))
        outside.check(files == 2, f"{files} event files")
        scalars, samples = compare(rwkv.folder / "run", 12)
    print(f"{scalars} numbers and {samples} samples: in TensorBoard as in log.jsonl")


main()
