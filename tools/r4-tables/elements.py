"""StructureDefinitions and value sets to `elements.txt` and `values.txt`."""
from definitions import BASE

HEAD = """\
# A type:      NAME KIND BASE, at the start of a line; the lines below it are its elements, in the order
#              of the specification. KIND is abstract, complex, resource or backbone. The elements of BASE
#              come before its own; BASE is - where there is none. A blank line ends a type and its backbones.
# An element:  NAME MIN MAX TYPE[|TYPE...] [@VALUESET] [>TARGET,...] [^TARGET,...] [+FLAGS], after a blank.
#   NAME ends in [x] for a choice of types; MAX is 1 or *; TYPE * is any of the types in the line that begins
#   with *; a backbone type bears the path of its element, also where an element repeats another's content.
#   @ names a required binding (values.txt); > the types a reference may point to, ^ those a canonical may,
#   * for any; flags are s (in the summary) and m (modifier).
# A resource's own id is no line: every resource has it, and it is in every summary.
"""
# Versions of value sets that R4's own bindings name.
SET_VERSIONS = ("4.0.1", "2014-03-26")
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"


def value_set(element):
    """The address of the value set of an element's required binding, if it has one."""
    binding = element.get("binding", {})
    if binding.get("strength") != "required":
        return None
    url, _, version = binding["valueSet"].partition("|")
    if version not in ("", *SET_VERSIONS):
        raise SystemExit(f"{element['path']} is bound to {url} of {version}")
    return url


def type_code(entry):
    if not entry["code"].startswith("http:"):
        return entry["code"]
    for extension in entry.get("extension", []):
        if extension["url"] == FHIR_TYPE:
            return extension.get("valueUrl") or extension["valueUri"]
    raise SystemExit(f"a system type without its FHIR type: {entry}")


class ElementTable:
    """Both texts, and the value sets met on the way."""

    def __init__(self, definitions):
        self.definitions = definitions
        self.bindings = {}
        self.any_type = None
        self.own = {}

    def text(self):
        types = self.definitions.types
        abstract = ["Element", "BackboneElement", "Resource", "DomainResource"]
        complex_types = sorted(n for n, sd in types.items() if sd["kind"] == "complex-type" and n not in abstract)
        # A type after its base.
        complex_types.sort(key=lambda n: self.base(n) not in ("Element", "BackboneElement"))
        blocks = [self.block(name) for name in abstract + complex_types + self.definitions.resource_types()]
        return HEAD + "\n* " + "|".join(self.any_type) + "\n\n" + "\n".join(blocks)

    def base(self, name):
        return self.definitions.types[name].get("baseDefinition", "/-").rsplit("/", 1)[1]

    def block(self, name):
        definition = self.definitions.types[name]
        elements = self.definitions.elements[name]
        groups = {name: []}
        for element in elements[1:]:
            groups.setdefault(element["path"].rsplit(".", 1)[0], []).append(element)
        kind = {"complex-type": "complex", "resource": "resource"}[definition["kind"]]
        if definition["abstract"]:
            kind = "abstract"
        types = {e["path"]: e for e in elements}
        lines = []
        for path, members in groups.items():
            if path == name:
                head, base = f"{name} {kind}", self.base(name)
            else:
                head, base = f"{path} backbone", types[path]["type"][0]["code"]
            members = [m for m in members if m["path"] != "Resource.id"]
            self.own[path] = self.own.get(base, []) + [self.line(m, groups) for m in members]
            lines.append(f"{head} {base}")
            lines += [f" {line}" for line in self.own[path][len(self.own.get(base, [])):]]
        return "\n".join(lines) + "\n"

    def line(self, element, groups):
        path = element["path"]
        name = path.rsplit(".", 1)[1]
        if element["max"] not in ("1", "*"):
            raise SystemExit(f"{path} may occur {element['max']} times")
        words = [name, str(element["min"]), element["max"]]
        if "contentReference" in element:
            return " ".join([*words, element["contentReference"].lstrip("#"), *self.flags(element)])
        entries = element["type"]
        codes = [path if path in groups else type_code(entry) for entry in entries]
        words.append(self.type_list(codes))
        url = value_set(element)
        if url:
            set_name = url.rsplit("/", 1)[1]
            if self.bindings.setdefault(set_name, url) != url:
                raise SystemExit(f"two value sets {set_name}")
            words.append("@" + set_name)
        for mark, code in ((">", "Reference"), ("^", "canonical")):
            words += self.targets(mark, [e for e in entries if e["code"] == code], len(codes) > 20)
        return " ".join(words + self.flags(element))

    def type_list(self, codes):
        if len(codes) <= 20:
            return "|".join(codes)
        if self.any_type not in (None, codes):
            raise SystemExit("two lists of any type")
        self.any_type = codes
        return "*"

    def targets(self, mark, entries, any_type):
        if not entries or any_type:
            return []
        targets = [t.removeprefix(BASE) for e in entries for t in e.get("targetProfile", [])]
        for target in targets:
            if target not in self.definitions.types:
                raise SystemExit(f"a reference to {target}, which is no type")
        return [mark + (",".join(targets) if targets and "Resource" not in targets else "*")]

    @staticmethod
    def flags(element):
        flags = "s" * element.get("isSummary", False) + "m" * element.get("isModifier", False)
        return ["+" + flags] if flags else []


VALUES_HEAD = """\
# A value set: =NAME SYSTEM CODE...   SYSTEM is - where the codes come from several, CODE * where the set is
#              open: too large or not published with the definitions.
"""


def values_text(table):
    """The codes of every required binding met. Call after the table's text was made."""
    definitions = table.definitions
    lines = []
    for name, url in sorted(table.bindings.items()):
        includes = definitions.value_sets.get(url, {}).get("compose", {}).get("include", [])
        systems = sorted({include["system"] for include in includes})
        codes = set_codes(definitions, url)
        system = systems[0] if len(systems) == 1 else "-"
        lines.append(f"={name} {system} {' '.join(codes) if codes else '*'}")
    return VALUES_HEAD + "\n" + "\n".join(lines) + "\n"


def set_codes(definitions, url):
    """The codes of a value set in published order; none if it is open."""
    value_set = definitions.value_sets.get(url)
    if value_set is None:
        return []
    if "exclude" in value_set["compose"]:
        raise SystemExit(f"{url} excludes codes")
    codes = []
    for include in value_set["compose"]["include"]:
        if "filter" in include or "valueSet" in include:
            raise SystemExit(f"{url} filters codes")
        system = definitions.code_systems.get(include["system"], {})
        if "concept" in include:
            concepts = include["concept"]
        elif system.get("content") == "complete":
            concepts = list(flat(system["concept"]))
        else:
            return []
        codes += [c["code"] for c in concepts if c["code"] not in codes]
    if any(set(code) & set(" *") for code in codes):
        raise SystemExit(f"{url} has a code that cannot be written")
    return codes


def flat(concepts):
    """Concepts and those below them that can be chosen."""
    for concept in concepts:
        properties = {p["code"]: p for p in concept.get("property", [])}
        if not properties.get("notSelectable", {}).get("valueBoolean"):
            yield concept
        yield from flat(concept.get("concept", []))
