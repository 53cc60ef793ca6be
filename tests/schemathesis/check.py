"""Asks the admin API everything that its own description allows, and much that it does not, as an operator and as
somebody who may only look.

Nothing may be answered with 5xx, and nothing with a status, a content type or a body that the description does not
name. `tests/run openapi` builds the program and makes the Python that this runs on. The seed is the same in
every run; `WARDGATE_TEST_SEED`, `WARDGATE_TEST_EXAMPLES` and `WARDGATE_TEST_USERS` look for more.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
WARDGATE = HERE.parent.parent / "target" / "debug" / "wardgate"
SEED = os.environ.get("WARDGATE_TEST_SEED", "20261121")
EXAMPLES = os.environ.get("WARDGATE_TEST_EXAMPLES", "25")
USERS = os.environ.get("WARDGATE_TEST_USERS", "operator viewer").split()
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance"
CHECKS += ",response_schema_conformance,unsupported_method,allow_header_conformance"


class Demo:
    """`wardgate demo` with spare hospitals, a server, and an operation."""

    def __init__(self, folder: str) -> None:
        command = [WARDGATE, "demo", "--json", "--data-dir", folder, "--fhir-port", "0", "--admin-port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        places = json.loads(self.process.stdout.readline())
        self.admin, self.issuer = places["admin"], places["issuer"]
        form = b"grant_type=password&client_id=ward-app&username=operator&password=demo"
        with urllib.request.urlopen(f"{self.issuer}/realms/operators/protocol/openid-connect/token", form) as answer:
            self.token = json.load(answer)["access_token"]
        self.post("servers", {"name": "folder"})
        made = self.post("tenants/provision", {"name": "made", "server": "folder", "release": 1, **self.identity("made")})
        spare = [f"spare-{number}" for number in range(4)]
        for name in spare:
            self.post("tenants", {"name": name, "connection": {"url": "sqlite:north.db"}, **self.identity(name)})
        tenants = ["north", "lakes", "sur", "made", *spare]
        self.known = {"tenants": tenants, "servers": ["folder"], "operations": [made["id"]], "spare": spare}

    def identity(self, name: str) -> dict:
        identity = {"issuer": f"{self.issuer}/realms/hospitals", "claim_value": name, "azp": ["ward-app"]}
        return {"identities": [identity]}

    def post(self, path: str, body: dict) -> dict:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.admin}/admin/v1/{path}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            raise SystemExit(f"{path}: {refused.read().decode()}") from None

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def ask(demo: Demo, folder: str, user: str, where: str, *more: str) -> tuple[int, str]:
    command = [Path(sys.executable).with_name("schemathesis"), "run", where, "--checks", CHECKS, "--seed", SEED]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--continue-on-failure"]
    command += ["--no-shrink", "--request-timeout", "30", "--warnings", "off", *more]
    environment = {
        **os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "OPENAPI_ADMIN": demo.admin,
        "OPENAPI_ISSUER": demo.issuer, "OPENAPI_USER": user, "OPENAPI_KNOWN": json.dumps(demo.known), "NO_COLOR": "1",
    }
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def planted(demo: Demo, folder: str) -> bool:
    """A description that leaves out what is answered is found out."""
    with urllib.request.urlopen(f"{demo.admin}/admin/v1/openapi.json") as answer:
        described = json.load(answer)
    keys = described["paths"]["/admin/v1/keys"]
    del keys["get"]["responses"]["200"]
    described["paths"] = {"/admin/v1/keys": keys}
    file = Path(folder) / "planted.json"
    file.write_text(json.dumps(described))
    status, said = ask(demo, folder, "operator", str(file), "--url", demo.admin)
    return status != 0 and "Undocumented status code" in said


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(f"{folder}/demo")
        try:
            document = f"{demo.admin}/admin/v1/openapi.json"
            asked = [(user, *ask(demo, folder, user, document)) for user in USERS]
            found = planted(demo, folder)
        finally:
            demo.end()
    passed, failed = int(found), int(not found)
    print(f"test a planted fault is found ... {'ok' if found else 'FAILED'}")
    for user, status, said in asked:
        print(f"as {user}:\n{said}")
        tested = re.search(r"Tested: (\d+)", said)
        tested = int(tested.group(1)) if tested else 0
        failures = re.search(r"(\d+) unique failures", said)
        wrong = int(failures.group(1)) if failures else int(status != 0 or tested == 0)
        failed += wrong
        passed += max(tested - wrong, 0)
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {passed} passed; {failed} failed; 0 ignored")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
