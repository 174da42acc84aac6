#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check what `rwkv bench` writes for programs; says what it holds, or what is wrong with it.

    bench_check.py json|train|csv < OUT      bench_check.py svg FILE"""
import csv
import json
import sys
import xml.etree.ElementTree

LIMITS = ("read", "f32", "bf16", "int8")
ROW = {"work", "size", "passes", "tokens_per_second", "mean_tokens_per_second", "spread",
       "bytes_per_token", "ops_per_token", "limit", "share", "joules_per_token",
       *(limit + "_share" for limit in LIMITS)}
RUN = {"model", "threads", "limits", "load_seconds", "first_token_seconds", "peak_resident_bytes",
       "packing", "zeros", "rows", "context"}
TRAINING = {"precision", "checkpoint", "context", "batch", "passes", "tokens_per_second", "spread",
            "ops_per_token", "f32_ops_per_second", "bf16_ops_per_second", "f32_share",
            "bf16_share", "time_shares", "planned_bytes", "used_bytes"}
WORKS = {"products", "products_dx", "products_dw", "recurrence", "recurrence_back", "norms", "loss",
         "optimizer", "elements"}
SVG = "{http://www.w3.org/2000/svg}"


def want(condition, message):
    if not condition:
        sys.exit(f"bench_check.py: {message}")


def check_row(row, limits):
    want(set(row) == ROW, f"members of a row: {sorted(set(row) ^ ROW)}")
    want(row["work"] in ("prefill", "decode", "batch"), f"work {row['work']}")
    want(row["share"] == row[row["limit"] + "_share"], f"the share is not that of {row['limit']}")
    for number in ("passes", "tokens_per_second", "bytes_per_token", "ops_per_token", "share"):
        want(row[number] > 0, f"{number} {row[number]}")
    # The share is the median of the passes', not the quotient of medians, but not far from it.
    amount = row["bytes_per_token"] if row["limit"] == "read" else row["ops_per_token"]
    quotient = row["tokens_per_second"] * amount / limits[row["limit"]]
    want(0.02 < row["share"] / quotient < 50, f"share {row['share']}, wanted about {quotient}")


def check_json():
    for run in json.load(sys.stdin)["runs"]:
        want(set(run) == RUN, f"members of a run: {sorted(set(run) ^ RUN)}")
        limits = {key.split("_")[0]: value for key, value in run["limits"].items()}
        want(tuple(limits) == LIMITS, f"limits {tuple(limits)}")
        for row in run["rows"]:
            check_row(row, limits)
        positions = [point["position"] for point in run["context"]]
        want(positions == sorted(set(positions)), "positions do not increase")
        for point in run["context"]:
            want(point["prefill_tokens_per_second"] > 0 < point["decode_tokens_per_second"],
                 f"no rate at {point['position']}")
        packing, zeros = run["packing"], run["zeros"]
        want(set(packing) == {"matrices", "bytes"}, f"packing {packing}")
        want((packing["matrices"] > 0) == (packing["bytes"] > 0), f"packing {packing}")
        want(set(zeros) == {"share", "layers", "bytes"} and 0 <= zeros["share"] < 1,
             f"zeros {zeros}")
        want((zeros["layers"] > 0) == (zeros["bytes"] > 0), f"zeros {zeros}")
        want(run["first_token_seconds"] > run["load_seconds"] > 0, "no token before opening")
        want(run["peak_resident_bytes"] > run["model"]["memory"]["state_bytes"], "no memory")
        print(run["model"]["type"], "threads", run["threads"], *(
            f"{row['work']} {row['size']}" for row in run["rows"]), *positions)


def check_training_row(row, parameters):
    want(set(row) == TRAINING, f"members of a row: {sorted(set(row) ^ TRAINING)}")
    want(set(row["time_shares"]) == WORKS, f"works {set(row['time_shares']) ^ WORKS}")
    want(all(share > 0 for share in row["time_shares"].values()), "work that took no time")
    want(sum(row["time_shares"].values()) <= 1, f"more than all the time: {row['time_shares']}")
    want(row["planned_bytes"] > 16 * parameters, f"no room for {parameters} parameters")
    quotient = row["tokens_per_second"] * row["ops_per_token"] / row["f32_ops_per_second"]
    want(0.02 < row["f32_share"] / quotient < 50, f"share {row['f32_share']} of {quotient}")


def check_train():
    for run in json.load(sys.stdin)["runs"]:
        want(set(run) == {"model", "threads", "training"}, f"members of a run: {set(run)}")
        for row in run["training"]:
            check_training_row(row, run["model"]["parameters"])
            print(f"{row['precision']} {row['batch']} x {row['context']}", row["ops_per_token"],
                  "checkpoint" if row["checkpoint"] else "all kept")


def check_csv():
    rows = list(csv.DictReader(sys.stdin, strict=True))
    for row in rows:
        want(None not in row and None not in row.values(), f"columns of {row}")
        want(float(row["tokens_per_second"]) > 0, f"no rate: {row}")
        print(row["model"], row["type"], row["work"], row["size"])


def check_svg(path):
    root = xml.etree.ElementTree.parse(path).getroot()
    _, _, width, height = (float(x) for x in root.get("viewBox").split())
    want(root.tag == SVG + "svg", f"a root called {root.tag}")
    style = root.find(SVG + "style").text
    want("prefers-color-scheme:dark" in style, "nothing for dark backgrounds")
    for text in root.iter():
        want(not any("href" in name or name == "src" for name in text.attrib), "needs other files")
    for dot in root.iter(SVG + "circle"):
        inside = 0 <= float(dot.get("cx")) <= width and 0 <= float(dot.get("cy")) <= height
        want(inside, f"a point outside: {dot.attrib}")
        want(dot.find(SVG + "title").text, "a point that says nothing")
    for line in root.iter(SVG + "polyline"):
        points = [point.split(",") for point in line.get("points").split()]
        xs = [float(x) for x, _ in points]
        want(xs == sorted(set(xs)), "a line that goes back")
        print("line of", len(points))
    print(*(text.text for text in root.iter(SVG + "text")
            if text.get("class") in ("title", "name", "label")), sep="; ")


if __name__ == "__main__":
    checks = {"json": check_json, "train": check_train, "csv": check_csv, "svg": check_svg}
    checks[sys.argv[1]](*sys.argv[2:])
