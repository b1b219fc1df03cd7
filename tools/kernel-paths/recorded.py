# SPDX-License-Identifier: MIT
"""What `record-processes` left, as trees of calls (trees.py) by phase of the guest, and which of their parts count elsewhere."""
import collections
import os

import calls
import trees

ALLOCATED = {"kmem_cache_alloc", "kmem_cache_alloc_node", "kmem_cache_alloc_lru", "kmem_cache_alloc_bulk", "__kmalloc",
             "__kmalloc_node", "kmalloc_trace", "kmalloc_node_trace", "__kmem_cache_alloc_node", "__alloc_pages"}
FREED = {"kmem_cache_free", "kmem_cache_free_bulk", "kfree", "__kmem_cache_free", "__free_pages", "free_unref_page",
         "free_unref_page_list"}
SLOW = {"___slab_alloc", "__slab_free", "free_pcppages_bulk"}
FAULT = "asm_exc_page_fault"
SYSTEM_CALL = "entry_SYSCALL_64"
ELSEWHERE = ALLOCATED | FREED | {FAULT, "flush_tlb_mm_range", "folio_batch_move_lru", "copy_page", "copy_mc_to_kernel"}
OF_AREAS = {"vm_area_dup", "anon_vma_fork", "mas_store", "copy_page_range", "mas_find", "dup_userfaultfd", "vma_dup_policy",
            "mas_is_err", "security_vm_enough_memory_mm", "vma_interval_tree_insert_after"}  # what fork() does of each
MAPPED = {"elf_map", "elf_map.isra.0", "vm_brk_flags", "vm_mmap", "mmput", "handle_mm_fault"}  # within execve()


class Tree:
    """A recorded call, or a part of one."""

    def __init__(self, names, parents, own, code=()):
        self.names, self.parents, self.own, self.code = names, parents, own, code

    def outside(self, names):
        """Of each call within, whether it is none of these functions', nor within one."""
        left = [True] * len(self.names)
        for i, name in enumerate(self.names):
            left[i] = i == 0 or (name not in names and left[self.parents[i]])
        return left

    def less(self, names):
        """Instructions but those of calls of these functions."""
        return sum(own for own, counts in zip(self.own, self.outside(names)) if counts)

    def lines(self, names):
        """Lines of code of the same, in the order in which they were first come to."""
        left = self.outside(names)
        return list(dict.fromkeys(line for call, line in self.code if left[call]))

    def at(self, first):
        """The part that a call within is."""
        kept = {first: 0}
        for i in range(first + 1, len(self.names)):
            if self.parents[i] in kept:
                kept[i] = len(kept)
        return Tree([self.names[i] for i in kept], [kept.get(self.parents[i], -1) for i in kept], [self.own[i] for i in kept],
                    [(kept[call], line) for call, line in self.code if call in kept])

    def parts(self, name):
        """The calls of a function within."""
        return (self.at(i) for i, found in enumerate(self.names) if found == name)

    def called(self, names):
        """What it calls itself of these functions, in order."""
        return [self.at(i) for i, found in enumerate(self.names) if found in names and self.parents[i] == 0]

    def part(self, name, without=ELSEWHERE):
        return sum(part.less(without) for part in self.parts(name))

    def has(self, *names):
        return all(name in self.names for name in names)

    def is_interrupted(self):
        return any(name.startswith(("asm_sysvec", "asm_common")) for name in self.names)

    def is_whole(self):
        return not self.is_interrupted() and "__schedule" not in self.names


def read(folder, symbols, code=False):
    """Yields (phase, function, tree) for each recorded call."""
    phases = [line.split(None, 1)[1].strip() for line in open(os.path.join(folder, "console.log")) if line.startswith("path ")]
    for phase, function, tree in trees.read(os.path.join(folder, "trace"), symbols, code):
        yield phases[phase], function, Tree(*tree)


class Record:
    """All recorded calls by phase and entry."""

    def __init__(self, folder):
        symbols = calls.Symbols(os.path.join(folder, "symbols"))
        self.calls = collections.defaultdict(list)
        for phase, function, tree in read(folder, symbols):
            self.calls[phase, function].append(tree)

    def of(self, phase, function, *names):
        return [tree for tree in self.calls[phase, function] if tree.is_whole() and tree.has(*names)]

    def trees(self, phase):
        return [tree for (found, _), trees_of in self.calls.items() if found == phase for tree in trees_of]

    def faults(self, phase, *names):
        return self.of(phase, FAULT, *names)

    def sizes(self, kind):
        return sorted({int(phase.split()[1]) for phase, _ in self.calls if phase.split()[0] == kind and " " in phase})

    def parts(self, phase, name):
        return [part for (found, _), trees_of in self.calls.items() if found == phase for tree in trees_of
                for part in tree.parts(name)]
