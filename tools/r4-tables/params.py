"""SearchParameters to `params.txt`, the Patient compartment to `compartments.txt`."""
import re

HEAD = """\
# A parameter: TYPE NAME KIND [>TARGET,...] EXPRESSION[ | EXPRESSION...]
#   TYPE * is every resource. > names the types a reference may point to, where not just any. An expression
#   is a path below the type; `(x=y)` after a step keeps only the items whose member x is the constant y;
#   `:Type` after a choice picks one type; `->Type` names the type a reference must point to; `?` at the end
#   asks whether something is there, and is not `false`.
# A composite: TYPE NAME composite BASE[ | BASE...] $ NAME KIND EXPRESSION[ | EXPRESSION...] $ ...
#   BASE is the path that the components' expressions begin at, `.` the resource itself.
# Without an expression: ! TYPE NAME KIND REASON
"""
KINDS = ("token", "string", "date", "reference", "quantity", "number", "uri")


class Unexpressed(Exception):
    """Why a parameter has no line of its own."""


def alternatives(expression):
    return [unwrap(part.strip()) for part in expression.split("|")]


def unwrap(text):
    """Without brackets around the whole or around its head: `(a.b).c` is `a.b.c`."""
    if not text.startswith("("):
        return text
    depth = 0
    for at, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return text[1:at] + text[at + 1:]
    raise SystemExit(f"brackets do not match: {text}")


class ParamTable:
    """The parameters of every type. Takes the elements as `ElementTable` wrote them."""

    def __init__(self, definitions, elements):
        self.definitions = definitions
        self.elements = {
            (owner, words[0].removesuffix("[x]")): (words[0].endswith("[x]"), words[3].split("|"))
            for owner, lines in elements.own.items() for words in map(str.split, lines)
        }
        self.any_type = elements.any_type
        self.by_url = {p["url"]: p for p in definitions.parameters}

    def text(self):
        lines, left_out = {}, {}
        for param in self.definitions.parameters:
            for base in param["base"]:
                ty = {"Resource": "*", "DomainResource": "*"}.get(base, base)
                if ty != "*" and ty not in self.definitions.types:
                    continue
                key = (ty, param["code"])
                if key in lines or key in left_out:
                    raise SystemExit(f"two parameters {key}")
                try:
                    lines[key] = f"{ty} {param['code']} {self.param(base, param)}"
                except Unexpressed as reason:
                    left_out[key] = f"! {ty} {param['code']} {param['type']} {reason}"
        return HEAD + "\n" + "".join(f"{table[key]}\n" for table in (left_out, lines) for key in sorted(table))

    def param(self, base, param):
        if not param.get("expression"):
            raise Unexpressed("looks at the whole resource or at the server, not at an element")
        if param.get("xpathUsage") == "phonetic":
            raise Unexpressed("asks for phonetic matching by an algorithm of the server's choice")
        if param["type"] == "composite":
            return self.composite(base, param)
        if param["type"] not in KINDS:
            raise Unexpressed(f"of type {param['type']}: its rule is in words only")
        paths = list(dict.fromkeys(self.path(base, a) for a in self.below(base, param)))
        if not paths:
            raise SystemExit(f"{param['url']} does not name {base}")
        words = [param["type"], *self.targets(param), " | ".join(paths)]
        return " ".join(words)

    @staticmethod
    def below(base, param):
        """The alternatives that begin at the type, or (InsurancePlan.name) just below it, without it."""
        found = (re.match(rf"({base}\b\.?|(?=[a-z]))(.*)", a) for a in alternatives(param["expression"]))
        return [match[2] for match in found if match]

    def targets(self, param):
        targets = set(param.get("target", []))
        unknown = targets - self.definitions.types.keys()
        # All are named where any will do, but for Parameters, which nothing can point to.
        if unknown or targets >= set(self.definitions.resource_types()) - {"Parameters"}:
            return []
        targets = sorted(targets)
        return [">" + ",".join(targets)] if targets else []

    def composite(self, base, param):
        roots = self.below(base, param)
        owners = [self.owner(base, root) for root in roots]
        parts = [" | ".join(root or "." for root in roots)]
        for component in param["component"]:
            if "%" in component["expression"]:
                raise Unexpressed("a component begins at the resource, the others further down")
            definition = self.by_url[component["definition"]]
            # Every root has the component's element, by the same path.
            found = {
                " | ".join(self.path(owner, a) for a in alternatives(component["expression"]))
                for owner in owners
            }
            if len(found) != 1 or definition["type"] not in KINDS:
                raise SystemExit(f"component of {param['url']}")
            [path] = found
            if definition["type"] == "reference" and not self.refers(owners[0], path):
                raise Unexpressed("its components are published with each other's expressions")
            parts.append(f"{definition['code']} {definition['type']} {path}")
        return "composite " + " $ ".join(parts)

    def refers(self, owner, path):
        return {"Reference", "canonical"} & set(self.elements[owner, path][1])

    def owner(self, base, path):
        for step in filter(None, path.split(".")):
            base = self.elements[base, step][1][0]
        return base

    def path(self, owner, text):
        """One alternative below a type, in the form of the table."""
        exists = re.fullmatch(r"(\w+)\.exists\(\) and \w+\.\1 != false", text)
        if exists:
            return exists[1] + "?"
        if "[" in text:
            raise Unexpressed("looks at one entry of a list by its place")
        target = re.search(r"\.where\(resolve\(\) is (\w+)\)$", text)
        if target:
            text = text[: target.start()]
        text = re.sub(r"\.where\((\w+)='([\w-]+)'\)", r"(\1=\2)", text)
        text = re.sub(r"\.(?:ofType|as)\((\w+)\)", r":\1", text)
        text = re.sub(r" as (\w+)", r":\1", text)
        steps = [self.step(owners, step) for owners, step in self.walk(owner, text)]
        return ".".join(steps) + (f"->{target[1]}" if target else "")

    def walk(self, owner, text):
        """Each step with the types it may be a member of."""
        owners = [owner]
        for step in text.split("."):
            yield owners, step
            name, _, wanted = re.sub(r"\(.*", "", step).partition(":")
            if name == "id":
                continue
            types = [t for o in owners for t in self.elements.get((o, name), (False, []))[1]]
            types = self.any_type if types == ["*"] else types
            owners = [t for t in types if not wanted or t.lower() == wanted.lower()]
            if not owners:
                raise SystemExit(f"no element for {step} of {text}")

    def step(self, owners, step):
        """A step with the type it picks spelled as the element's own."""
        form = re.fullmatch(r"(\w+)(?::(\w+))?(\(\w+=[\w-]+\))?", step)
        if not form:
            raise SystemExit(f"an expression of a new form: {step}")
        name, wanted, only = form.groups()
        if not wanted:
            return step
        choice, types = next(self.elements[o, name] for o in owners if (o, name) in self.elements)
        types = self.any_type if types == ["*"] else types
        wanted = next(t for t in types if t.lower() == wanted.lower())
        return f"{name}{':' + wanted if choice else ''}{only or ''}"


COMPARTMENT_HEAD = """\
# Which parameters place a resource of a type in a compartment: COMPARTMENT TYPE PARAMETER...
# A type without a line is in none. The patient itself is in its own compartment too.
"""


def compartments_text(definitions):
    """The Patient compartment."""
    lines = [" ".join(["Patient", *member]) for member in definitions.patient_compartment]
    return COMPARTMENT_HEAD + "\n" + "\n".join(lines) + "\n"
