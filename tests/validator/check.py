"""Has HL7's own validator judge every resource the demo's hospitals give, and faults planted in them.

Needs maven, a JDK of at least 17 and the built binary (`cargo build`). Prints one line a test and a
`test result:` line like cargo's.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / "target" / "validator"
WARDGATE = ROOT / "target" / "debug" / "wardgate"


def get(url: str, token: str) -> dict:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def resources(base: str, token: str) -> list[dict]:
    """Everything a token can see, page by page."""
    rest = get(f"{base}/metadata", token)["rest"][0]
    found = []
    for kind in (entry["type"] for entry in rest["resource"]):
        page = get(f"{base}/{kind}?_count=7", token)
        while True:
            entries = page.get("entry", [])
            assert all(e["resource"]["resourceType"] == kind for e in entries), kind
            found += [entry["resource"] for entry in entries]
            links = [link["url"] for link in page["link"] if link["relation"] == "next"]
            if not links:
                break
            page = get(links[0], token)
    return found


def demo(folder: str) -> tuple[subprocess.Popen, dict]:
    command = [WARDGATE, "demo", "--json", "--data-dir", folder, "--fhir-port", "0", "--admin-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return process, json.loads(process.stdout.readline())


class Validator:
    """The judge, one line in, one line out."""

    def __init__(self) -> None:
        command = ["mvn", "-q", "-B", "-f", HERE / "pom.xml", "compile", "dependency:build-classpath"]
        subprocess.run([*command, f"-Dmdep.outputFile={OUT}/classpath"], check=True, timeout=600)
        path = f"{OUT}/classes:{(OUT / 'classpath').read_text().strip()}"
        self.process = subprocess.Popen(
            ["java", "-cp", path, "wardgate.Validate"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def judge(self, resource: dict) -> str:
        self.process.stdin.write(json.dumps(resource, ensure_ascii=False) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


# Faults that a broken mapping or engine could cause, by type; each must be found in every resource of it.
FAULTS = {
    "*": {
        "an element that does not exist": lambda r: r.update(colour="red"),
        "an empty array": lambda r: r.update(identifier=[]),
        "a null": lambda r: r.update(language=None),
        "an id with a space": lambda r: r.update(id="a b"),
    },
    "Patient": {
        "a code that is none": lambda r: r.update(gender="M"),
        "a date that is none": lambda r: r.update(birthDate="1985-02-30"),
        "a flag as text": lambda r: r.update(active="true"),
        "an object instead of a list": lambda r: r.update(name={"family": "x"}),
        "an empty text": lambda r: r.update(name=[{"family": ""}]),
    },
    "Observation": {
        "no status": lambda r: r.pop("status", None),
        "no code": lambda r: r.pop("code", None),
        "a time without a zone": lambda r: r.update(effectiveDateTime="2024-01-01T10:00:00"),
        "two values": lambda r: r.update(valueString="x", valueBoolean=True),
        "a number as text": lambda r: r.update(valueQuantity={"value": "1.5"}),
    },
}


def main() -> int:
    passed, failed = 0, []

    def test(name: str, problem: str) -> None:
        nonlocal passed
        print(f"test {name} ... {'FAILED: ' + problem if problem else 'ok'}", flush=True)
        if problem:
            failed.append(name)
        else:
            passed += 1

    validator = Validator()
    with tempfile.TemporaryDirectory() as folder:
        process, places = demo(folder)
        try:
            readers = {u["tenant"]: u for u in places["users"] if "fhir-read" in u["roles"]}
            for user in readers.values():
                command = [WARDGATE, "demo", "token", user["username"], "--data-dir", folder]
                token = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
                found = resources(places["fhir"], token)
                kinds = sorted({resource["resourceType"] for resource in found})
                test(f"{user['tenant']} gives resources", "" if found else "none came")
                for kind in kinds:
                    ours = [resource for resource in found if resource["resourceType"] == kind]
                    verdicts = [(r["id"], validator.judge(r)) for r in ours]
                    bad = [f"{id}: {verdict}" for id, verdict in verdicts if verdict != "ok"]
                    test(f"{user['tenant']} {kind} ({len(ours)})", "; ".join(bad[:3]))
                    missed = []
                    for fault, plant in (FAULTS["*"] | FAULTS.get(kind, {})).items():
                        planted = copy.deepcopy(ours[0])
                        plant(planted)
                        if validator.judge(planted) == "ok":
                            missed.append(fault)
                    test(f"{user['tenant']} {kind}, faults planted", ", ".join(missed))
        finally:
            process.terminate()
            process.wait()
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {passed} passed; {len(failed)} failed; 0 ignored")
    return 1 if failed else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
