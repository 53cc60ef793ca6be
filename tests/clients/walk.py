"""What the programs of the Python clients share: the facts they are given and the lines they print."""

import json
import os
import traceback
import uuid

GIVEN = json.loads(os.environ["CLIENT"])
FACTS = GIVEN["facts"]
MRN = "urn:oid:2.16.840.1.113883.19.1"


def check(name: str, body) -> None:
    """One test; its line says which assertion did not hold."""
    try:
        body()
        print(f"test {name} ... ok", flush=True)
    except Exception as fault:  # every test is reported, and none keeps the next from running
        at = traceback.extract_tb(fault.__traceback__)
        mine = [frame for frame in at if os.path.dirname(__file__) in frame.filename][-1]
        text = " ".join(f"{type(fault).__name__}: {fault}".split())[:600]
        print(f"test {name} ... FAILED: line {mine.lineno} ({mine.line}): {text}", flush=True)


def same(found, wanted) -> None:
    assert found == wanted, f"{found!r} instead of {wanted!r}"


# In the demo nobody both reads and writes, as these clients do.
WRITES = {"create", "update", "patch", "delete", "transaction"} if "writer" not in GIVEN else set()


class Offered:
    """What a CapabilityStatement promises: a test of it runs from the day it is promised."""

    def __init__(self, statement: dict) -> None:
        rest = statement["rest"][0]
        self.system = {i["code"] for i in rest.get("interaction", [])} - WRITES
        self.types = {r["type"]: r for r in rest.get("resource", [])}

    def has(self, kind: str, interaction: str) -> bool:
        return interaction not in WRITES and any(i["code"] == interaction for i in self.types.get(kind, {}).get("interaction", []))

    def includes(self, kind: str, include: str) -> bool:
        return include in self.types.get(kind, {}).get("searchInclude", [])

    def when(self, promised: bool, name: str, body) -> None:
        if promised:
            check(name, body)
        else:
            print(f"not promised, so not tried: {name}", flush=True)


def newcomer() -> dict:
    """A patient nobody has seen yet."""
    return {
        "resourceType": "Patient", "active": True, "gender": "female", "birthDate": "1984-02-29",
        "identifier": [{"use": "usual", "system": MRN, "value": f"C-{uuid.uuid4().hex[:12]}"}],
        "name": [{"use": "official", "family": "Client-Sample", "given": ["Ada", "Mary"]}],
    }
