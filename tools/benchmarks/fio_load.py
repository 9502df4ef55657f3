# SPDX-License-Identifier: Apache-2.0
"""Load by fio's nbd engine, told in the same terms as that of nbd_load: a second opinion.

It costs more processor time than nbd_load, so that ratios are nearer to 1 where it is the limit.
"""
import tempfile

from .servers import fio


def load(uri, options, total_bytes, seed):
    with tempfile.NamedTemporaryFile(suffix=".json") as output:
        job = fio(uri, output.name, [*options, f"--io_size={int(total_bytes)}", "--norandommap",
                                     f"--randseed={seed}", "--end_fsync=1"])
    done = [job[kind] for kind in ("read", "write") if job[kind]["total_ios"] > 0]
    slowest = max(of["clat_ns"]["percentile"]["99.000000"] for of in done)
    return {"requests": sum(of["total_ios"] for of in done),
            "bytes": sum(of["io_bytes"] for of in done),
            "seconds": max(of["runtime"] for of in done) / 1e3, "p99_us": slowest / 1e3}
