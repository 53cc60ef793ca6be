"""Runs five published FHIR clients, unmodified, against real gateways; and what they are known to trip over.

Needs the servers of the tests (`tests/run clients` starts them), the built binary, a Python with requirements.txt, and
the packages of tests/node. Each client is a program of its own here; it gets the facts, as plain SQL tells them, in the
variable CLIENT and prints a line for each test.
"""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import browser
import hospital
import traps
import world

HERE = Path(__file__).resolve().parent
NODE = Path(os.environ["WARDGATE_TEST_NODE"])
CLIENTS = {
    "fhirclient-py": [sys.executable, HERE / "fhirclient_py.py"],
    "fhirpy": [sys.executable, HERE / "fhirpy_py.py"],
    "fhirclient-js": [NODE / "node_modules/.bin/node", NODE / "clients/fhirclient_js.mjs"],
    "fhir-kit-client": [NODE / "node_modules/.bin/node", NODE / "clients/fhir_kit.mjs"],
    "medplum": [NODE / "node_modules/.bin/node", NODE / "clients/medplum.mjs"],
}
LINE = re.compile(r"^test (.*) \.\.\. (ok|FAILED)")
# What each client does at each hospital, by words of the names of its tests. What a statement no longer promised would
# otherwise not be tried, and not be missed.
DEEDS = ("sign in|signs in|renews its token", "reads", "searches", "pages", "creates", "updates", "sends a batch")


class Count:
    def __init__(self) -> None:
        self.passed, self.failed = 0, 0

    def test(self, name: str, problem: str = "") -> None:
        print(f"test {name} ... {'FAILED: ' + problem if problem else 'ok'}", flush=True)
        self.passed, self.failed = self.passed + (not problem), self.failed + bool(problem)

    def run(self, client: str, where: str, given: dict) -> None:
        """A client's program; a program that breaks off, or tests nothing, has failed."""
        environment = {**os.environ, "CLIENT": json.dumps(given), "PYTHONPATH": str(HERE), "NODE_NO_WARNINGS": "1"}
        done = subprocess.run(CLIENTS[client], env=environment, capture_output=True, text=True, timeout=300)
        seen, names = 0, []
        for line in done.stdout.splitlines():
            found = LINE.match(line)
            if found:
                seen += 1
                names.append(found.group(1))
                name, problem = f"{client} {where}: {found.group(1)}", line[found.end():].lstrip(": ")
                self.test(name, (problem or "no reason given") if found.group(2) == "FAILED" else "")
            else:
                print(line)
        if "writer" in given:
            missing = [deed for deed in DEEDS if not any(re.search(deed, name) for name in names)]
            self.test(f"{client} {where}: does all that is asked of it", f"no test of {', '.join(missing)}" if missing else "")
        if done.returncode or not seen:
            self.test(f"{client} {where}", f"ended with {done.returncode} after {seen} tests: {done.stderr.strip()[-1500:]}")


class Nonsense(http.server.BaseHTTPRequestHandler):
    """A server that answers anything with a cheerful empty object."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b'{"resourceType": "Bundle", "rest": [{"resource": []}], "link": []}'
        self.send_response(200)
        for name, value in (("Content-Type", "text/plain"), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_OPTIONS = answer

    def log_message(self, *_) -> None:
        pass


class Silent(Count):
    def test(self, name: str, problem: str = "") -> None:
        self.names = [*getattr(self, "names", []), *([] if problem else [name])]


def control(count: Count, facts: dict) -> None:
    """A check that a server of nonsense passes would be none."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nonsense)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    silent = Silent()
    traps.check(silent, "nonsense", f"http://127.0.0.1:{server.server_port}/fhir", "token", facts)
    server.shutdown()
    count.test("nonsense is found by every check", ", ".join(silent.names))


def given(base: str, issuer: str, user: str, password: str, facts: dict, **more) -> dict:
    return {
        "base": base, "issuer": issuer, "user": user, "password": password, "app": world.APP, "redirect": world.REDIRECT,
        "facts": facts, **more,
    }


def main() -> int:
    only = sys.argv[1:] or list(CLIENTS)
    count = Count()
    # Beside the packages, where Node.js looks for them.
    shutil.rmtree(NODE / "clients", ignore_errors=True)
    shutil.copytree(HERE, NODE / "clients", ignore=shutil.ignore_patterns("__pycache__"))
    keycloak = world.Keycloak()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "gateway").mkdir()
        gateway = world.Gateway(Path(folder) / "gateway", keycloak)
        demo = world.Demo(Path(folder) / "demo")
        try:
            for name, reader, writer, engine in world.HOSPITALS:
                database = gateway.databases[name]
                people = {user: keycloak.password(user) for user in (reader, writer)}
                for client in only:
                    more = {"writer": writer, "writer_password": people[writer]}
                    if name == "north":
                        machine = "ward-machine-north"
                        more |= {"machine": machine, "machine_secret": keycloak.secret(machine)}
                    # Asked anew each time, for the client before has written.
                    facts = hospital.facts(database)
                    count.run(client, engine, given(gateway.base, keycloak.issuer, reader, people[reader], facts, **more))
                token = browser.post_form(f"{keycloak.issuer}/protocol/openid-connect/token", {
                    "grant_type": "password", "client_id": "ward-cli", "username": reader, "password": people[reader]})
                traps.check(count, engine, gateway.base, token["access_token"], hospital.facts(database))
            control(count, hospital.facts(gateway.databases["north"]))
            north = demo_facts(demo)
            for client in only:
                count.run(client, "demo", given(demo.base, demo.issuer, "reader.north", "demo", north))
        finally:
            gateway.end()
            demo.end()
    word = "FAILED" if count.failed else "ok"
    print(f"test result: {word}. {count.passed} passed; {count.failed} failed; 0 ignored")
    return 1 if count.failed else 0


def demo_facts(demo: world.Demo) -> dict:
    """The demo's North General, as its own file tells it."""
    class North(hospital.Sqlite):
        def __init__(self) -> None:
            self.path = next(Path(demo.process.args[4]).rglob("north.db"))
    north = North()
    ids = lambda sql: sorted((row[0] for row in north.rows(sql)), key=int)
    columns = "id, mrn, family_name, given_names, birth_date, revision"
    names = columns.replace("revision", "version").split(", ")
    return {
        "counts": {"Patient": len(ids("SELECT id FROM patients")), "Observation": len(ids("SELECT id FROM observations"))},
        "searches": [
            {"type": "Patient", "params": {"gender": "female"}, "ids": ids("SELECT id FROM patients WHERE sex = 'F'")},
            {"type": "Observation", "params": {"patient": "1"}, "ids": ids("SELECT id FROM observations WHERE patient_id = 1")},
        ],
        "patient": dict(zip(names, north.rows(f"SELECT {columns} FROM patients WHERE id = 1")[0])),
    }


if __name__ == "__main__":
    sys.exit(main())
