"""fhirpy 2.3: has no sign-in of its own; whoever uses it brings a token."""

import asyncio
import contextlib

import browser
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, OperationOutcome, ResourceNotFound
from walk import FACTS, GIVEN, MRN, Offered, check, newcomer, same


def token(user: str, password: str) -> str:
    client = "ward-cli" if "writer" in GIVEN else GIVEN["app"]
    form = {"grant_type": "password", "client_id": client, "username": user, "password": password}
    return browser.post_form(f"{GIVEN['issuer']}/protocol/openid-connect/token", form)["access_token"]


bearer = f"Bearer {token(GIVEN['user'], GIVEN['password'])}"
sync = SyncFHIRClient(GIVEN["base"], authorization=bearer)
offered = Offered(sync.execute("metadata", method="get"))
ONE = FACTS["patient"]["id"]


def refuses():
    try:
        SyncFHIRClient(GIVEN["base"], authorization="Bearer nonsense").resources("Patient").first()
    except AuthorizationError as refused:
        assert "OperationOutcome" in str(refused), refused
    else:
        raise AssertionError("let in with nonsense")


def reads():
    found = sync.reference("Patient", ONE).to_resource()
    same((found["name"][0]["family"], found["birthDate"]), (FACTS["patient"]["family_name"], FACTS["patient"]["birth_date"]))
    with contextlib.suppress(ResourceNotFound):
        sync.reference("Patient", "999999").to_resource()
        raise AssertionError("found somebody who is not there")


def counts():
    # `_count=0&_totalMethod=count`, and reads `total`.
    for kind, count in FACTS["counts"].items():
        same(sync.resources(kind).count(), count)


def searches():
    for search in FACTS["searches"]:
        # Keywords for the usual names, as an application would write them; modifiers go in as they are.
        found = sync.resources(search["type"]).search(**search["params"]).fetch_all()
        same(sorted((r["id"] for r in found), key=int), search["ids"])


def pages():
    for kind, count in FACTS["counts"].items():
        ids = [r["id"] for r in sync.resources(kind).limit(10)]
        same((len(ids), len(set(ids))), (count, count))


def pages_asynchronously():
    async def all_of(kind: str) -> int:
        client = AsyncFHIRClient(GIVEN["base"], authorization=bearer)
        return len({r["id"] async for r in client.resources(kind).limit(25)})

    async def both():
        return await asyncio.gather(*(all_of(kind) for kind in FACTS["counts"]))

    same(asyncio.run(both()), list(FACTS["counts"].values()))


def refreshes():
    # Sends `If-None-Match` without quotes and keeps what it has when the answer is 304.
    found = sync.reference("Patient", ONE).to_resource()
    same(found["meta"]["versionId"], FACTS["patient"]["version"])
    found["active"] = "still here"
    found.refresh()
    same(found["active"], "still here")


def misspells():
    try:
        sync.resources("Patient").search(famly="munoz").fetch()
    except OperationOutcome as refused:
        assert "famly" in str(refused), refused
    else:
        raise AssertionError("a parameter that does not exist must not return everybody")


def includes():
    raw = sync.resources("Observation").search(patient=ONE).include("Observation", "subject").fetch_raw()
    kinds = [entry["resource"]["resourceType"] for entry in raw["entry"]]
    assert "Observation" in kinds and kinds.count("Patient") == 1, kinds


def writing() -> SyncFHIRClient:
    return SyncFHIRClient(GIVEN["base"], authorization=f"Bearer {token(GIVEN['writer'], GIVEN['writer_password'])}")


def writes():
    client, body = writing(), newcomer()
    kind = body.pop("resourceType")
    made = client.resource(kind, **body)
    made.save()  # POST as application/json; takes its id from the body of the answer
    assert made["id"]
    made["name"][0]["family"] = "Client-Renamed"
    made.save()  # PUT
    same(client.reference(kind, made["id"]).to_resource()["name"][0]["family"], "Client-Renamed")
    if offered.has("Patient", "delete"):
        made.delete()
        with contextlib.suppress(ResourceNotFound):
            client.reference(kind, made["id"]).to_resource()
            raise AssertionError("still there")


def makes_once():
    # Conditional create as `POST /Patient?identifier=…`, which is no FHIR: refused, or made exactly once; never twice.
    client, body = writing(), newcomer()
    number = body["identifier"][0]["value"]
    kind = body.pop("resourceType")
    for _ in range(2):
        with contextlib.suppress(OperationOutcome):
            client.resources(kind).search(identifier=f"{MRN}|{number}").get_or_create(client.resource(kind, **body))
    found = client.resources(kind).search(identifier=f"{MRN}|{number}").fetch_all()
    assert len(found) <= 1, f"{len(found)} copies"


def patches_partially():
    # Sends part of a resource as application/json: no patch format, so nothing may change.
    client = writing()
    before = client.reference("Patient", ONE).to_resource()
    try:
        client.patch("Patient", ONE, gender="other")
    except OperationOutcome:
        pass
    else:
        raise AssertionError("a partial resource was taken for a patch")
    same(client.reference("Patient", ONE).to_resource()["gender"], before["gender"])


def batches():
    # It has no word for a batch: one is sent as any operation on the base.
    asked = {"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": f"Patient/{ONE}"}},
        {"request": {"method": "GET", "url": "Patient/999999"}},
    ]}
    answered = sync.execute("", method="post", data=asked)
    same(answered["type"], "batch-response")
    same([entry["response"]["status"][:3] for entry in answered["entry"]], ["200", "404"])
    same(answered["entry"][0]["resource"]["birthDate"], FACTS["patient"]["birth_date"])


def signs_in():
    # What it brings is a person's token of the issuer, and opens her hospital alone.
    same(sync.resources("Patient").search(_id=ONE).fetch_all()[0]["name"][0]["family"], FACTS["patient"]["family_name"])


check("signs in with the token it brings", signs_in)
check("is refused with a bad token", refuses)
check("reads", reads)
check("counts", counts)
check("searches", searches)
check("pages through everything", pages)
check("pages through everything, asynchronously", pages_asynchronously)
check("learns of a misspelt parameter", misspells)
offered.when("version" in FACTS["patient"], "refreshes what it has", refreshes)
offered.when(offered.includes("Observation", "Observation:subject"), "includes", includes)
offered.when(offered.has("Patient", "create") and offered.has("Patient", "update"), "creates, updates and deletes", writes)
offered.when("batch" in offered.system, "sends a batch", batches)
offered.when(offered.has("Patient", "create"), "never makes a patient twice", makes_once)
offered.when(offered.has("Patient", "patch"), "cannot patch with a partial resource", patches_partially)
