#!/usr/bin/env python3
"""Compares the tables with those made of HL7's own files instead of the npm package.

    compare.py HAPI.jar

HAPI.jar is Maven's `ca.uhn.hapi.fhir:hapi-fhir-validation-resources-r4` (8.8.1 was compared), which holds
HL7's files of 4.0.1 unchanged, as XML. Run it when the pinned package changes: what it prints belongs in
corrections.py. The compartments are not compared; the archive has none.
"""
import json
import sys
import zipfile
from xml.etree import ElementTree

sys.dont_write_bytecode = True

from elements import ElementTable, values_text
from generate import TABLES
from params import ParamTable

FOLDER = "org/hl7/fhir/r4/model/"
# Members that are lists in JSON.
LISTS = {"element", "type", "targetProfile", "extension", "include", "exclude", "concept", "property"}
FLAGS = {"isSummary", "isModifier", "abstract", "valueBoolean"}


def plain(node):
    """An XML element as the JSON it stands for, as far as the tables need it."""
    if "value" in node.attrib:
        return node.get("value") == "true" if name(node) in FLAGS else node.get("value")
    found = dict(node.attrib)
    for child in node:
        if name(child) not in LISTS:
            found[name(child)] = plain(child)
        elif name(child) == "type" and "value" in child.attrib:
            found["type"] = child.get("value")
        else:
            found.setdefault(name(child), []).append(plain(child))
    return found


def name(node):
    return node.tag.rsplit("}", 1)[1]


class Definitions:
    """HL7's definitions, in the form that the package's are in."""

    def __init__(self, archive):
        self._archive = archive
        self.types, self.value_sets, self.code_systems = {}, {}, {}
        for file in ("profile/profiles-types.xml", "profile/profiles-resources.xml"):
            for kind, definition in self._resources(file):
                definition["abstract"] = definition.get("abstract", False)
                is_type = kind == "StructureDefinition" and definition["kind"] in ("complex-type", "resource")
                if is_type and definition.get("derivation") != "constraint":
                    self.types[definition["name"]] = definition
        self.elements = {n: sd["differential"]["element"] for n, sd in self.types.items()}
        for file in ("valueset/valuesets.xml", "valueset/v3-codesystems.xml"):
            for kind, resource in self._resources(file):
                if kind in ("ValueSet", "CodeSystem"):
                    kept = self.value_sets if kind == "ValueSet" else self.code_systems
                    kept.setdefault(resource["url"], resource)
        bundle = json.loads(archive.read(FOLDER + "sp/search-parameters.json"))
        self.parameters = [entry["resource"] for entry in bundle["entry"]]

    def _resources(self, file):
        root = ElementTree.fromstring(self._archive.read(FOLDER + file))
        for resource in root.iterfind("{*}entry/{*}resource/*"):
            yield name(resource), plain(resource)

    def resource_types(self):
        return sorted(n for n, sd in self.types.items() if sd["kind"] == "resource" and not sd["abstract"])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with zipfile.ZipFile(sys.argv[1]) as archive:
        definitions = Definitions(archive)
    elements = ElementTable(definitions)
    texts = {"elements.txt": elements.text()}
    texts["values.txt"] = values_text(elements)
    texts["params.txt"] = ParamTable(definitions, elements).text()
    status = 0
    for file, text in texts.items():
        # The tables begin with three lines that say where they come from.
        ours, theirs = (TABLES / file).read_text().splitlines()[3:], text.splitlines()
        for line in [f"- {x}" for x in ours if x not in theirs] + [f"+ {x}" for x in theirs if x not in ours]:
            print(f"{file} {line}")
        if ours != theirs:
            status = 1
    print("differences" if status else "the tables are the same")
    sys.exit(status)


if __name__ == "__main__":
    main()
