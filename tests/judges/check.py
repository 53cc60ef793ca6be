"""Has three judges look at every resource of the demo and, where they were rendered, of the large fixtures: @medplum/core,
HL7's own JSON schema, and the invariants of the definitions in FHIRPath. Each must also find the faults planted for it.

Needs the built binary (`cargo build`), the packages of tests/node (WARDGATE_TEST_NODE), and for the fixtures a folder of
NDJSON files in WARDGATE_RENDERED; those HL7's validator judges as well (maven and a JDK, see tests/validator).
`tests/run judges` brings it all together.
"""

import collections
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "validator"))
import check as validator  # noqa: E402  the part that stands by itself

NODE = Path(os.environ["WARDGATE_TEST_NODE"])
# Of each type of a fixture, for HL7's validator; WARDGATE_VALIDATE raises it.
MOST = int(os.environ.get("WARDGATE_VALIDATE", "150"))
JUDGES = ["medplum", "hl7", "invariants"]

# What a broken mapping or engine could cause, and who must see it. No judge sees everything, so all of them are asked.
FAULTS = {
    "*": {
        "an element that does not exist": (["medplum", "hl7"], lambda r: r.update(colour="red")),
        "a null": (["medplum"], lambda r: r.update(language=None)),
        "an id with a space": (["hl7"], lambda r: r.update(id="a b")),
        "an identifier with nothing in it": (["medplum", "invariants"], lambda r: r.update(identifier=[{}])),
        "a period that ends before it begins": (["invariants"], lambda r: r.update(identifier=[
            {"value": "x", "period": {"start": "2024-05-01", "end": "2020-01-01"}}])),
        "a list where one value stands": (["medplum", "hl7"], lambda r: r.update(language=["en"])),
    },
    "Patient": {
        "a code that is none": (["hl7"], lambda r: r.update(gender="M")),
        "a date that is none": (["medplum"], lambda r: r.update(birthDate="1985-02-30")),
        "a date in another form": (["medplum", "hl7"], lambda r: r.update(birthDate="31/01/1985")),
        "a flag as text": (["medplum", "hl7"], lambda r: r.update(active="true")),
        "an object instead of a list": (["medplum", "hl7"], lambda r: r.update(name={"family": "x"})),
        "a telephone number of no system": (["invariants"], lambda r: r.update(telecom=[{"value": "555"}])),
    },
    "Observation": {
        "no status": (["medplum"], lambda r: r.pop("status", None)),
        "no code": (["medplum", "hl7"], lambda r: r.pop("code", None)),
        "a time without a zone": (["hl7"], lambda r: r.update(effectiveDateTime="2024-01-01T10:00:00")),
        "a number as text": (["medplum", "hl7"], lambda r: r.update(valueQuantity={"value": "1.5"})),
        "a unit's code without its system": (["invariants"], lambda r: r.update(valueQuantity={"value": 1, "code": "kg"})),
        "a value and a reason why there is none": (["medplum", "invariants"], lambda r: r.update(
            valueQuantity={"value": 1}, dataAbsentReason={"text": "x"})),
    },
}


class Bench:
    """The judges, many resources in, one verdict each out."""

    def __init__(self) -> None:
        shutil.copy(HERE / "judge.mjs", NODE / "judge.mjs")  # beside the packages, where Node.js looks for them
        self.process = subprocess.Popen(
            [NODE / "node_modules/.bin/node", NODE / "judge.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def judge(self, resources: list[dict]) -> list[dict]:
        def give() -> None:
            for resource in resources:
                self.process.stdin.write(json.dumps(resource, ensure_ascii=False) + "\n")
            self.process.stdin.flush()
        giver = threading.Thread(target=give)
        giver.start()
        verdicts = [json.loads(self.process.stdout.readline()) for _ in resources]
        giver.join()
        return verdicts


def rendered(count, bench: Bench, where: str, resources: list[dict], hapi=None) -> None:
    """Every resource of one place before every judge, and the same resources with faults."""
    by_kind = collections.defaultdict(list)
    for resource in resources:
        by_kind[resource["resourceType"]].append(resource)
    for kind, ours in sorted(by_kind.items()):
        verdicts = bench.judge(ours)
        for judge in JUDGES:
            bad = [f"{r['id']}: {v[judge]}" for r, v in zip(ours, verdicts) if v[judge]]
            count(f"{judge}: {where} {kind} ({len(ours)})", f"{len(bad)}, such as {'; '.join(bad[:3])}" if bad else "")
        if hapi:
            # It takes a hundred times as long as the others, so it sees a sample that is spread over all.
            sample = ours[:: -(-len(ours) // MOST)]
            bad = [f"{r['id']}: {verdict}" for r in sample if (verdict := hapi.judge(r)) != "ok"]
            count(f"validator: {where} {kind} ({len(sample)} of {len(ours)})", f"{len(bad)}, such as {'; '.join(bad[:3])}" if bad else "")
        planted = []
        for fault, (finders, plant) in (FAULTS["*"] | FAULTS.get(kind, {})).items():
            broken = copy.deepcopy(ours[0])
            plant(broken)
            if fault.startswith(("an identifier", "a period")) and "identifier" not in ours[0]:
                continue  # not every type has identifiers, or several
            planted.append((fault, finders, broken))
        verdicts = bench.judge([broken for _, _, broken in planted])
        for judge in JUDGES:
            missed = [fault for (fault, finders, _), v in zip(planted, verdicts) if judge in finders and not v[judge]]
            count(f"{judge}: {where} {kind}, faults planted", ", ".join(missed))


def main() -> int:
    passed, failed = 0, []

    def count(name: str, problem: str) -> None:
        nonlocal passed
        print(f"test {name} ... {'FAILED: ' + problem[:1500] if problem else 'ok'}", flush=True)
        if problem:
            failed.append(name)
        else:
            passed += 1

    bench = Bench()
    with tempfile.TemporaryDirectory() as folder:
        process, places = validator.demo(folder)
        try:
            for user in (u for u in places["users"] if u["roles"] == ["fhir-read"]):
                command = [validator.WARDGATE, "demo", "token", user["username"], "--data-dir", folder]
                token = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
                rendered(count, bench, user["tenant"], validator.resources(places["fhir"], token))
        finally:
            process.terminate()
            process.wait()
    files = sorted(Path(os.environ["WARDGATE_RENDERED"]).glob("*.ndjson")) if "WARDGATE_RENDERED" in os.environ else []
    if "WARDGATE_RENDERED" in os.environ:
        count("the fixtures were rendered", "" if len(files) >= 2 else f"only {[f.name for f in files]}")
        hapi = validator.Validator()
        for file in files:
            rendered(count, bench, file.stem, [json.loads(line) for line in file.read_text().splitlines()], hapi)
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {passed} passed; {len(failed)} failed; 0 ignored")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
