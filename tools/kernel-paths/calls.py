# SPDX-License-Identifier: MIT
"""Reads what `record` leaves: a kernel's symbols, and the calls that its plugin wrote down (plugin.c tells the lines)."""
import bisect

MODULES = 0xFFFFFFFFC0000000  # the functions of modules have no names here
INTERRUPTED = ("asm_", "schedule")


class Symbols:
    """The functions of a kernel by address."""

    def __init__(self, path):
        pairs = sorted((int(line.split()[0], 16), line.split()[1]) for line in open(path))
        self.addresses = [address for address, _ in pairs]
        self.names = [name for _, name in pairs]
        self.seen = {}

    def of(self, address):
        """(name, bytes from its beginning)"""
        if address not in self.seen:
            place = bisect.bisect_right(self.addresses, address) - 1
            module = address >= MODULES
            self.seen[address] = ("module", address - MODULES) if module else (self.names[place], address - self.addresses[place])
        return self.seen[address]

    def address(self, name):
        return self.addresses[self.names.index(name)]


def read_calls(path):
    """Yields (function, events); an event is (kind, address, bytes)."""
    open_calls = {}
    for line in open(path):
        cpu, kind, *rest = line.split()
        if kind == "C":
            open_calls[cpu] = (rest[0], [])
        elif kind == "E" and cpu in open_calls:
            yield open_calls.pop(cpu)
        elif kind == "X":
            open_calls.pop(cpu, None)
        elif cpu in open_calls:
            kind = "I" if kind in "LT" else kind
            open_calls[cpu][1].append((kind, int(rest[0], 16), int(rest[1]) if len(rest) > 1 else 0))


def is_whole(run):
    """Whether a call that ran these functions was neither interrupted nor put to sleep."""
    return not any(part in name for name in run for part in INTERRUPTED)
