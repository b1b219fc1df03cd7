# SPDX-License-Identifier: MIT
"""recording.py - reads what the checkers share: texts plain, gz or xz, and the free pages of a dump of the state."""

import gzip
import lzma
import os

# Per-CPU lists: one for each migrate type that has them (3) and order 0 to 3; from list 12 on, those of the huge pages' order.
PCP_TYPES = 3
PCP_SMALL_LISTS = 12
PCP_HUGE_ORDER = 9


def open_text(path):
    """Opens PATH, or PATH.xz or PATH.gz, by the ending that is there."""
    for ending, opener in (("", open), (".xz", lzma.open), (".gz", gzip.open)):
        if os.path.exists(path + ending):
            if path.endswith(".xz"):
                opener = lzma.open
            elif path.endswith(".gz"):
                opener = gzip.open
            return opener(path + ending, "rt")
    raise FileNotFoundError(f"{path}: no such file, nor with .xz or .gz")


def block(pfn, order):
    """The frames of a block."""
    return range(pfn, pfn + (1 << order))


def free_frames(line):
    """The frames that a line @FREE or @PCPL of a dump lists, or None if it is another line."""
    if line.startswith("@FREE "):
        head, body = line.split(":")
        order = int(head.split()[2])
    elif line.startswith("@PCPL "):
        head, body = line.split(":")
        index = int(head.split()[3])
        order = index // PCP_TYPES if index < PCP_SMALL_LISTS else PCP_HUGE_ORDER
    else:
        return None
    return [frame for pfn in body.split() for frame in block(int(pfn, 16), order)]
