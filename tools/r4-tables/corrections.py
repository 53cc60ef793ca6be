"""Where the package departs from HL7's R4, and back.

Its maker edits the definitions for a server of its own. Snapshots are edited most (`Meta.project`, elements
of R5), so they are not read at all. What else was edited is below. compare.py finds such edits: with these
corrections the tables are the same as those made of HL7's own files of 4.0.1.
"""
import re

# A resource of R4B is left out by its version, and so is a parameter of R5.
FHIR_VERSION = "4.0.1"
ELEMENTS = {"ResearchStudy.studyDesign"}
BINDINGS = {"ResearchStudy.status": "http://hl7.org/fhir/ValueSet/research-study-status|4.0.1"}
PARAMETERS = {"DetectedIssue-status", "ServiceRequest-order-detail"}
TARGETS = {
    "clinical-patient": ["Group", "Patient"],
    "MeasureReport-subject": [
        "Device", "Group", "Location", "Patient", "Practitioner", "PractitionerRole", "RelatedPerson",
    ],
}
# References to types of the package's maker.
OTHERS = "https://medplum.com/"


def correct_type(definition):
    """The elements of a type, the type itself first, as HL7 published them."""
    elements = [e for e in definition["differential"]["element"] if e["path"] not in ELEMENTS]
    for element in elements:
        if element["path"] in BINDINGS:
            element["binding"]["valueSet"] = BINDINGS[element["path"]]
        for entry in element.get("type", []):
            if "targetProfile" in entry:
                targets = entry["targetProfile"]
                entry["targetProfile"] = [t for t in targets if not t.startswith(OTHERS)]
    return elements


def correct_parameters(parameters):
    """The parameters of R4."""
    kept = [p for p in parameters if p["version"] == FHIR_VERSION and p["id"] not in PARAMETERS]
    for parameter in kept:
        if parameter["id"] in TARGETS:
            parameter["target"] = TARGETS[parameter["id"]]
    return kept


def correct_compartment(definition):
    """Type and parameters of each member, from the narrative: it is HL7's, the data beside it is not."""
    text = definition["text"]["div"]
    table = text[text.index("Inclusion Criteria"): text.index("never in this compartment")]
    found = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    plain = [re.sub(r"<[^>]*>", " ", row).split() for row in found]
    rows = [[word.strip(",") for word in words] for words in plain]
    return sorted(row for row in rows if len(row) > 1)
