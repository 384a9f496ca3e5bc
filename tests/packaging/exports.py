#!/usr/bin/env python3
"""Checks that the shared library exports what the public headers declare and nothing else.

    exports.py LIBRARY INCLUDE_DIR

Weak symbols are left out: they are what any code that includes the headers of the standard library and of LibTorch has.
"""
import pathlib
import re
import subprocess
import sys


def exported(library):
    """The qualified names of the strong symbols, without parameters and template arguments."""
    listed = subprocess.run(["nm", "-DC", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    for line in listed.splitlines():
        _, kind, name = line.split(" ", 2)
        if kind not in "VWwvu":
            yield name


def declared(include):
    """The names of the classes and functions that are marked, and what should be: a function without a body, and a class with a
    member function without one."""
    classes, functions, unmarked = set(), set(), []
    for header in pathlib.Path(include).rglob("*.hpp"):
        text = re.sub(r"//[^\n]*|^#[^\n]*", "", header.read_text(), flags=re.M)
        classes |= set(re.findall(r"(?:class|struct) VLALIGN_EXPORT (\w+)", text))
        functions |= set(re.findall(r"VLALIGN_EXPORT [^;{]*?(operator[^ (]+|\b\w+)\(", text))
        kept = r"(?!VLALIGN_EXPORT|inline|template|constexpr|using|namespace|class|struct|enum|extern|static)"
        unmarked += [f"{header}: {match[1]}" for match in re.finditer(rf"^{kept}\w[^;{{}}]*?\b(\w+)\([^;{{}}]*;", text, re.M)]
        for match in re.finditer(r"^(?:class|struct) (?!VLALIGN_EXPORT)(\w+)[^;{]*\{\n(.*?)^\};", text, re.M | re.S):
            if re.search(r"^  (?!using|static constexpr|friend|std::function)[\w~][^;{}=]*\w\([^;{}=]*\)[^;{}=]*;", match[2], re.M):
                unmarked.append(f"{header}: {match[1]}")
    return classes, functions, unmarked


def main():
    library, include = sys.argv[1:3]
    classes, functions, unmarked = declared(include)
    faults = [f"not marked with VLALIGN_EXPORT: {what}" for what in unmarked]
    for name in exported(library):
        plain = re.sub(r"^(vtable|typeinfo|typeinfo name|guard variable) for ", "", name)
        path = re.match(r"vlalign::(?:nn::|vla::|kit::|tiles::)?(operator[^(]+|\w+)(::)?", plain)
        if not path or "::State::" in plain or not (path[1] in classes or (path[1] in functions and not path[2])):
            faults.append(f"exported, and in no public header: {name}")
    print("\n".join(faults) or "the library exports what its headers declare")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
