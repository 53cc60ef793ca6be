"""fhirclient-py 4.4: signs in as a SMART application does, and parses all it gets with strict models."""

from urllib.parse import parse_qs, urlsplit

import browser
from fhirclient import client
from fhirclient.models import bundle, fhirsearch, observation, patient, practitioner
from fhirclient.server import FHIRNotFoundException
from walk import FACTS, GIVEN, Offered, check, newcomer, same

MODELS = {"Patient": patient.Patient, "Observation": observation.Observation, "Practitioner": practitioner.Practitioner}


def application(scope: str, user: str, password: str) -> client.FHIRClient:
    """An application somebody has signed in to."""
    smart = client.FHIRClient(settings={
        "app_id": GIVEN["app"], "api_base": GIVEN["base"], "redirect_uri": GIVEN["redirect"], "scope": scope,
    })
    smart.wants_patient = False  # no patient is chosen at sign-in: this is an application for clinicians
    assert not smart.prepare(), "nobody has signed in yet"
    address = smart.authorize_url
    assert address.startswith(GIVEN["issuer"]), address  # from the oauth-uris extension, the only place it looks
    assert parse_qs(urlsplit(address).query)["aud"][0].rstrip("/") == GIVEN["base"], address
    smart.handle_callback(browser.sign_in(address, user, password))
    assert smart.ready
    return smart


smart = application("openid profile", GIVEN["user"], GIVEN["password"])
server = smart.server
# The first statement was read before anybody had signed in; this is the hospital's own.
statement = server.request_json("metadata")
offered = Offered(statement)


def everything(search) -> list:
    return list(search.perform_resources_iter(server))


def signs_in():
    scopes = application("openid user/*.read", GIVEN["user"], GIVEN["password"])
    same(patient.Patient.read(FACTS["patient"]["id"], scopes.server).id, FACTS["patient"]["id"])


def renews():
    before = server.auth.access_token
    assert smart.reauthorize() and server.auth.access_token != before
    same(patient.Patient.read(FACTS["patient"]["id"], server).id, FACTS["patient"]["id"])


def reads():
    found, wanted = patient.Patient.read(FACTS["patient"]["id"], server), FACTS["patient"]
    same(found.name[0].family, wanted["family_name"])
    same(" ".join(found.name[0].given), wanted["given_names"])
    same(found.birthDate.isostring, wanted["birth_date"])
    same(found.identifier[0].value, wanted["mrn"])


def misses():
    try:
        patient.Patient.read("999999", server)
    except FHIRNotFoundException as missing:
        same(missing.response.json()["resourceType"], "OperationOutcome")
    else:
        raise AssertionError("found somebody who is not there")


def searches():
    for search in FACTS["searches"]:
        found = everything(MODELS[search["type"]].where(search["params"]))
        same(sorted((r.id for r in found), key=int), search["ids"])
        assert all(r.resource_type == search["type"] for r in found)


def pages():
    for kind, count in FACTS["counts"].items():
        seen = list(fhirsearch.FHIRSearch(MODELS[kind], {"_count": "10"}).perform_iter(server))
        ids = [entry.resource.id for page in seen for entry in page.entry or []]
        same((len(ids), len(set(ids)), len(seen)), (count, count, max(1, -(-count // 10))))


def includes():
    search = fhirsearch.FHIRSearch(observation.Observation, {"patient": FACTS["patient"]["id"]}).include("subject")
    kinds = [r.resource_type for r in everything(search)]
    assert "Observation" in kinds and kinds.count("Patient") == 1, kinds


def writes():
    writer = application("openid profile", GIVEN["writer"], GIVEN["writer_password"]).server
    made = patient.Patient(newcomer()).create(writer)
    assert made and made["id"], "a create is answered with the resource"
    kept = patient.Patient.read(made["id"], writer)
    kept.name[0].family = "Client-Renamed"
    same(kept.update(writer)["name"][0]["family"], "Client-Renamed")
    same(patient.Patient.read(made["id"], writer).name[0].family, "Client-Renamed")
    if offered.has("Patient", "delete"):
        kept.delete(writer)
        try:
            patient.Patient.read(made["id"], writer)
        except Exception as gone:
            assert getattr(gone, "response", gone).status_code in (404, 410), gone
        else:
            raise AssertionError("still there")


def batches():
    asked = {"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": f"Patient/{FACTS['patient']['id']}"}},
        {"request": {"method": "GET", "url": "Patient/999999"}},
    ]}
    answered = bundle.Bundle(bundle.Bundle(asked).create(server))
    same(answered.type, "batch-response")
    same([entry.response.status[:3] for entry in answered.entry], ["200", "404"])


check("signs in with SMART scopes", signs_in) if "writer" in GIVEN else None
check("renews its token", renews)
check("reads with strict models", reads)
check("tells what is missing", misses)
check("searches", searches)
check("pages through everything", pages)
offered.when(offered.includes("Observation", "Observation:subject"), "includes", includes)
offered.when(offered.has("Patient", "create") and offered.has("Patient", "update"), "creates, updates and deletes", writes)
offered.when("batch" in offered.system, "sends a batch", batches)
