# SPDX-License-Identifier: Apache-2.0
"""A client that remembers what a volume's bytes were at its marks, for tests that kill the server.

    mark_witness.py remember SOCKET EXPORT LABEL LSN LOG   when the mark was made
    mark_witness.py check SOCKET VOLUME LOG                after a restart

LOG gets "LABEL LSN DIGEST" for each mark, with the SHA-256 of what EXPORT gives: the volume itself
where nobody writes to it, the view at the mark where somebody does. `check` reads the view at each
mark there is in LOG and prints how many equal their digests; it fails at the first that does not.
"""

import hashlib
import sys

import nbd

PIECE = 1 << 20


def digest(path, export):
    handle = nbd.NBD()
    handle.set_export_name(export)
    handle.connect_unix(path)
    size = handle.get_size()
    total = hashlib.sha256()
    for offset in range(0, size, PIECE):
        total.update(handle.pread(min(PIECE, size - offset), offset))
    handle.shutdown()
    return total.hexdigest()


def remember(path, export, label, lsn, log):
    with open(log, "a") as out:
        out.write("%s %s %s\n" % (label, lsn, digest(path, export)))


def check(path, volume, log):
    count = 0
    for line in open(log):
        label, lsn, wanted = line.split()
        try:
            got = digest(path, "%s@lsn:%s" % (volume, lsn))
        except nbd.Error as error:
            sys.exit("mark %s at LSN %s cannot be read any more: %s" % (label, lsn, error))
        if got != wanted:
            sys.exit("mark %s at LSN %s is not what it was" % (label, lsn))
        count += 1
    print(count)


{"remember": remember, "check": check}[sys.argv[1]](*sys.argv[2:])
