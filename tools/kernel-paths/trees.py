# SPDX-License-Identifier: MIT
"""Makes trees of recorded calls: which function called which, and how many instructions each ran by itself.

A tree is three lists of equal length, in the order of the calls: name, parent (an index; -1 of the first) and own instructions;
and, if asked for, (call, line of code) in the order in which they were first come to.
A jump to the beginning of another function is a call of it that returns with its caller. Retpolines return to where they do not
come from; then the function they go to stands below them. A return to a place that the calls do not explain (another task's
stack, a return stack that was filled) goes up to the call that it fits, or to none."""

LINE = 64
THROUGH = ("its_return_thunk", "__x86_return_thunk")  # a jump there is a return


class Builder:
    """One call's tree, from its instructions."""

    def __init__(self):
        self.names, self.parents, self.own, self.code = [], [], [], {}
        self.stack = []  # (node, address to return to; 0 of a jump)
        self.name = None
        self.returned = None

    def push(self, name, back):
        self.names.append(name)
        self.parents.append(self.stack[-1][0] if self.stack else -1)
        self.own.append(0)
        self.stack.append((len(self.names) - 1, back))
        self.name = name

    def pop(self):
        """To behind the call of the function that is left; where that is."""
        back = 0
        while len(self.stack) > 1 and not back:
            node, back = self.stack.pop()
            self.returned = self.names[node]
        self.name = self.names[self.stack[-1][0]]
        return back

    def come_back(self, back, address):
        """Behind a return that did not come from where it goes to."""
        for depth in range(len(self.stack) - 1, 0, -1):
            if self.stack[depth][1] == address:
                del self.stack[depth:]
                self.name = self.names[self.stack[-1][0]]
                return

    def go_to(self, name, offset):
        """Another function, by a jump."""
        if offset == 0:
            self.push(name, 0)
            return
        for depth in range(len(self.stack) - 1, -1, -1):
            if self.names[self.stack[depth][0]] == name:
                del self.stack[depth + 1:]
                self.name = name
                return


def read(path, symbols, code=False):
    """Yields (phase, function, tree) for each call that ended, phases counted from 0; code: with its lines."""
    phase, function, tree, pending, back = -1, None, None, None, 0
    place = {}
    for line in open(path):
        kind = line[2]
        if kind in "ILT":
            word = line[4:20]
            name, offset, address = place.get(word) or place.setdefault(word, (*symbols.of(int(word, 16)), int(word, 16)))
            if pending == "L":
                tree.push(name, back)
            elif pending == "T":
                back = tree.pop()
                if address != back:
                    if tree.returned.startswith("__x86_indirect_thunk"):
                        tree.push(name, 0)
                    else:
                        tree.come_back(back, address)
            elif name != tree.name and name not in THROUGH:
                if tree.name is None:
                    tree.push(name, 0)
                else:
                    tree.go_to(name, offset)
            call = tree.stack[-1][0]
            tree.own[call] += 1
            if code:
                tree.code[call, address // LINE] = None
            pending = kind if kind != "I" else None
            if kind == "L":
                back = address + int(line[21:])
        elif kind == "C":
            function, tree, pending = line[4:].strip(), Builder(), None
        elif kind == "E" and tree:
            yield phase, function, (tree.names, tree.parents, tree.own, list(tree.code))
            tree = None
        elif kind == "X":
            tree = None
        elif kind == "P":
            phase += 1
