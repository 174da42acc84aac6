#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The load for measurements does what it says: test_measure.py MEASURE BUILD. How fast it went
is nobody's business here."""
import json
import subprocess
import sys
import unittest

MEASURE, BUILD = sys.argv[1:]


class Tests(unittest.TestCase):
    def test_rows_and_turns(self):
        command = [MEASURE, BUILD, "--streams", "1,3", "--tokens", "12", "--idle", "20",
                   "--rounds", "1", "--turn", "200", "--json"]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        results = json.loads(result.stdout)
        self.assertEqual([rows[0]["streams"] for rows in results["streams"]], [1, 3])
        for (row,) in results["streams"]:
            self.assertEqual(row["first_token"]["count"], row["streams"])
            self.assertGreater(row["engine_rate"], 0)
            times = row["between_tokens"]
            self.assertLessEqual(times["p50"], times["p99"])
            self.assertLessEqual(times["p99"], times["max"])
        (row,) = results["streams"][0]  # one stream alone: all of its tokens but the first count
        self.assertGreater(row["tokens"], 8)
        self.assertLess(row["tokens"], 12)
        first, second = results["turns"]
        self.assertEqual(first["cached_tokens"], 0)
        self.assertGreaterEqual(second["cached_tokens"], first["prompt_tokens"])
        self.assertLess(second["evaluated_tokens"], 60)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
