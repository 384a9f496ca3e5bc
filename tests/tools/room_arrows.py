#!/usr/bin/env python3
"""Checks that each source includes only what the table of rooms in docs/architecture.md lets its room include.

    python3 tests/tools/room_arrows.py [ROOT]            ends with 1 when an include points elsewhere
    python3 tests/tools/room_arrows.py [ROOT] --planted  plants an arrow upwards, a circle and a room of its own in copies of the
                                                         tree, and ends with 1 when one of them isn't found

A room is a folder of include/vlalign and src; a file belongs to the deepest one that the table names. The table is read from
the top down: a room may include those above that its row names, so there is no circle.
"""
import pathlib
import re
import shutil
import sys
import tempfile


class Rooms:
    def __init__(self, root):
        self.root = root
        self.allowed = {}  # by room, in the table's order
        self.faults = []
        for line in (root / "docs/architecture.md").read_text().splitlines():
            cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
            if line.startswith("| ") and len(cells) == 3 and cells[0] not in ("room", "---"):
                self.read_row(*cells)
            elif self.allowed and not line.startswith("|"):
                break

    def read_row(self, room, _, includes):
        names = [name for name in re.split(r"[,;] *", includes) if name not in ("std", "ATen/core/Tensor.h")]
        above = list(self.allowed)
        self.allowed[room] = set(above) if names == ["all above"] else set(names)
        for name in sorted(self.allowed[room] - set(above)):
            self.faults.append(f"docs/architecture.md: {room} may include {name}, which doesn't stand above it")

    def of(self, path):
        """The room of a path below include/vlalign or src; none for the header of everything."""
        folder = pathlib.PurePath(path).parent
        while str(folder) != "." and str(folder) not in self.allowed:
            folder = folder.parent
        return None if str(folder) == "." else str(folder)

    def sources(self):
        for base in ("include/vlalign", "src"):
            for file in sorted((self.root / base).rglob("*.[hc]pp")):
                yield file, file.relative_to(self.root / base)

    def check(self):
        known = {str(place) for _, place in self.sources()}
        for file, place in self.sources():
            name = file.relative_to(self.root)
            room = self.of(place)
            if room is None:
                if str(place) != "vlalign.hpp":
                    self.faults.append(f"{name}: is in no room of docs/architecture.md")
                continue
            for number, line in enumerate(file.read_text().splitlines(), 1):
                include = re.match(r'#include "(?:vlalign/)?([^"]+)"', line)
                if not include:
                    continue
                if include[1] not in known and not (self.root / "src" / include[1]).exists():
                    self.faults.append(f"{name}:{number}: includes {include[1]}, which is no path from src or include")
                elif (other := self.of(include[1])) != room and other not in self.allowed[room]:
                    self.faults.append(f"{name}:{number}: {room} may not include {other} ({include[1]})")
        return self.faults


def planted(root):
    """Whether each fault is found in a copy that has it."""
    def add(path, text):
        return lambda tree: (tree / path).write_text((tree / path).read_text() + text)

    def table(tree):
        page = tree / "docs/architecture.md"
        page.write_text(re.sub(r"(?m)^(\| core \|.*\|) [^|]*\|$", r"\1 model |", page.read_text()))

    def new_room(tree):
        (tree / "src/attic").mkdir()
        (tree / "src/attic/thing.cpp").write_text("")

    faults = {"an arrow upwards": add("src/core/random.cpp", '#include "model/make_module.hpp"\n'),
              "a circle": add("include/vlalign/config/features.hpp", '#include "vlalign/nn/tower.hpp"\n'),
              "an arrow to the side": add("src/text/unicode_text.cpp", '#include "image/codecs.hpp"\n'),
              "an upward row of the table": table, "a room that the table lacks": new_room}
    missed = []
    for what, plant in faults.items():
        with tempfile.TemporaryDirectory() as work:
            tree = pathlib.Path(work)
            for folder in ("include", "src", "docs"):
                shutil.copytree(root / folder, tree / folder)
            plant(tree)
            if not Rooms(tree).check():
                missed.append(what)
    return [f"not found: {what}" for what in missed]


def main():
    words = [word for word in sys.argv[1:] if word != "--planted"]
    root = pathlib.Path(words[0] if words else ".")
    faults = planted(root) if "--planted" in sys.argv else Rooms(root).check()
    print("\n".join(faults) or ("every planted fault is found" if "--planted" in sys.argv else "every include points down"))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
