# SPDX-License-Identifier: Apache-2.0
"""Runs tests/bench/nbd_load: see there for what it may be told, and what it says."""
import json

from .machine import program, run


def load(uri, options, total_bytes, seed):
    return json.loads(run([program("nbd_load"), "--uri", uri, "--bytes", str(int(total_bytes)),
                           "--seed", str(seed), *options]))
