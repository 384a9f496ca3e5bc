#!/usr/bin/env python3
"""Writes html_names.inc, the 2,125 names of HTML 5's character references, from Python's html.entities.

Each entry is the name, then ':' (needs its semicolon) or '!' (valid without it too), then the hexadecimal code points.
"""
import html.entities
import pathlib
import textwrap

names = html.entities.html5
entries = []
for name, value in sorted(names.items()):
    if name.endswith(";"):
        mark = "!" if name[:-1] in names else ":"
        entries.append(name[:-1] + mark + "+".join(f"{ord(c):X}" for c in value))
lines = textwrap.wrap(" ".join(entries), width=112)
path = pathlib.Path(__file__).with_name("html_names.inc")
path.write_text("// Made by make_html_names.py.\n" + "".join(f'"{line} "\n' for line in lines))
