"""What real clients are known to send, one by one, without the clients: so that a broken one is seen by its name."""

import urllib.parse

from browser import call

FHIR = "application/fhir+json"


def check(count, engine: str, base: str, token: str, facts: dict) -> None:
    """All of them against one hospital."""
    one = facts["patient"]["id"]
    signed = {"Authorization": f"Bearer {token}"}

    def get(path: str, **headers):
        return call("GET", base + path, {**signed, **{name.replace("_", "-"): value for name, value in headers.items()}})

    def unknown_result_parameters():
        for query in ("_count=0&_totalMethod=count", "_pretty=true&_format=json", "_summary=count", "_total=accurate&_count=1"):
            answer = get(f"/Patient?{query}")
            assert answer.status == 200, f"{query}: {answer.status}"
            wanted = None if "_pretty" in query else facts["counts"]["Patient"]
            assert answer.json().get("total") == wanted, f"{query}: {answer.json().get('total')}"

    def tags():
        version = facts["patient"]["version"]
        for tag in (version, f'"{version}"', f'W/"{version}"', f'"0", W/"{version}"'):
            answer = get(f"/Patient/{one}", If_None_Match=tag)
            assert (answer.status, answer.body) == (304, b""), f"{tag}: {answer.status}"
        assert get(f"/Patient/{one}", If_None_Match='W/"0"').status == 200

    def next_links():
        # Absolute, on the type's own address, and they take another `_count` (one more, as some clients append it).
        page = get("/Patient?_count=10").json()
        link = next(each["url"] for each in page["link"] if each["relation"] == "next")
        assert link.startswith(f"{base}/Patient?"), link
        for extra in ("", "&_count=1000", "&_format=json"):
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query + extra))
            again = get("/Patient?" + urllib.parse.urlencode(query))
            assert again.status == 200, f"{extra}: {again.status} {again.body.decode()[:300]}"
            first = again.json()["entry"][0]["resource"]["id"]
            assert first == "11", f"{extra}: begins with {first}"

    def accepts():
        for accept in ("application/json", f"{FHIR}, */*; q=0.1", "*/*", f"{FHIR},application/json", f"{FHIR}; charset=UTF-8",
                       "application/fhir+json;fhirVersion=4.0"):
            answer = get(f"/Patient/{one}", Accept=accept, Accept_Charset="UTF-8")
            assert answer.status == 200, f"{accept}: {answer.status}"
            # Who asks for the general type alone is answered in it (FHIR R4, 3.1.0.1.11).
            wanted = accept if accept == "application/json" else FHIR
            assert answer.headers["Content-Type"].startswith(wanted), f"{accept}: {answer.headers['Content-Type']}"
        assert get(f"/Patient/{one}", Accept="application/fhir+xml").status == 406

    def outcomes():
        for path, status, headers in (
            ("/Patient/999999", 404, signed), ("/Patient?famly=x", 400, signed), ("/Nothing", 404, signed), ("/Patient", 401, {}),
            ("/Patient", 406, {**signed, "Accept": "text/html"}), ("/Patient/12/$nothing", 404, signed), ("/Patient?_count=x", 400, signed),
        ):
            answer = call("GET", base + path, headers)
            assert answer.status == status, f"{path}: {answer.status}, not {status}"
            assert answer.json()["resourceType"] == "OperationOutcome", path
            assert answer.headers["Content-Type"].startswith(FHIR), path

    def preferences():
        answer = get("/Patient?_count=1", Prefer="return=presentation")
        assert answer.status == 200, answer.status
        lenient = get("/Patient?_count=1&famly=x", Prefer="handling=lenient").json()
        links = [link["url"] for link in lenient["link"] if link["relation"] == "self"]
        assert "famly" not in links[0], links
        assert any(e["search"]["mode"] == "outcome" for e in lenient["entry"]), "nothing said of what was ignored"

    def public_documents():
        well = call("GET", f"{base}/.well-known/smart-configuration", {"Accept": "application/json"})
        assert well.status == 200 and well.headers["Content-Type"].startswith("application/json"), well.status
        document = well.json()
        for name in ("authorization_endpoint", "token_endpoint", "code_challenge_methods_supported", "capabilities", "grant_types_supported"):
            assert document.get(name), name
        public = call("GET", f"{base}/metadata").json()
        assert "resource" not in public["rest"][0], "what a hospital keeps is told to nobody without a token"
        own = get("/metadata").json()
        assert {r["type"] for r in own["rest"][0]["resource"]} >= set(facts["counts"]), own

    def caches():
        for path in ("/metadata", f"/Patient/{one}", "/Patient?_count=1"):
            answer = get(path)
            assert answer.headers["Cache-Control"] == "no-store", path
            vary = ", ".join(answer.headers.get_all("Vary")).lower()
            assert "authorization" in vary, vary

    def browsers():
        offered = {i["code"] for r in get("/metadata").json()["rest"][0]["resource"] for i in r["interaction"]}
        methods = {"GET", "POST"}
        methods |= {m for m, code in (("PUT", "update"), ("PATCH", "patch"), ("DELETE", "delete")) if code in offered}
        wanted = ["authorization", "content-type", "accept", "prefer", "if-none-match", "if-match", "if-none-exist", "cache-control", "x-requested-with", "x-medplum"]
        for path in ("/metadata", "/.well-known/smart-configuration", f"/Patient/{one}", "/Patient/_search"):
            for method in sorted(methods):
                asked = {"Origin": "https://app.example.org", "Access-Control-Request-Method": method,
                         "Access-Control-Request-Headers": ",".join(wanted)}
                answer = call("OPTIONS", base + path, asked)
                assert answer.status in (200, 204), f"{path} {method}: {answer.status}"
                allowed = answer.headers["Access-Control-Allow-Headers"].lower().replace(" ", "").split(",")
                assert method in answer.headers["Access-Control-Allow-Methods"], f"{path} {method}"
                missing = [name for name in wanted if name not in allowed]
                assert not missing, f"{path} {method}: not allowed: {missing}"
        answer = get(f"/Patient/{one}", Origin="https://app.example.org")
        assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://app.example.org")
        exposed = answer.headers["Access-Control-Expose-Headers"].lower()
        assert all(name in exposed for name in ("etag", "location", "last-modified", "content-location")), exposed

    def stranger_ids():
        for id in (f"{one}abc", f"0{one}", f"{one}.0", f"+{one}", "1e1", "%27%20OR%201=1", "9" * 30):
            assert get(f"/Patient/{id}").status == 404, id

    def same_by_form():
        for search in facts["searches"]:
            form = urllib.parse.urlencode({**search["params"], "_count": "1000"})
            answers = [get(f"/{search['type']}?{form}")]
            kinds = ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8")
            for kind in kinds:
                answers.append(call("POST", f"{base}/{search['type']}/_search", {**signed, "Content-Type": kind}, form))
            answers.append(call("POST", f"{base}/{search['type']}/_search?{form}", {**signed, "Content-Type": kinds[0]}, ""))
            # Some clients send no type at all with an empty body.
            answers.append(call("POST", f"{base}/{search['type']}/_search?{form}", signed))
            found = [sorted((e["resource"]["id"] for e in a.json().get("entry", [])), key=int) if a.status == 200 else a.status for a in answers]
            assert all(ids == search["ids"] for ids in found), f"{search['params']}: {found}"

    def references():
        for value in (one, f"Patient/{one}", f"{base}/Patient/{one}"):
            found = get("/Observation?" + urllib.parse.urlencode({"patient": value})).json()
            assert len(found.get("entry", [])) > 0, value
        assert not get("/Observation?patient=" + urllib.parse.quote(f"https://other.example.org/fhir/Patient/{one}")).json().get("entry")

    for name, trap in sorted(locals().items()):
        if callable(trap) and trap.__qualname__.startswith("check.<locals>.") and name != "get":
            try:
                trap()
                count.test(f"{engine}: {name.replace('_', ' ')}")
            except Exception as fault:  # every check is reported, and none keeps the next from running
                count.test(f"{engine}: {name.replace('_', ' ')}", f"{type(fault).__name__} {fault}"[:500])
