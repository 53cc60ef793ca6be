"""Gateways to try clients on: one over PostgreSQL, MariaDB and SQLite that trusts Keycloak, and the demo."""

import json
import os
import socket
import subprocess
from pathlib import Path

import browser
import hospital

ROOT = Path(__file__).resolve().parent.parent.parent
WARDGATE = ROOT / "target" / "debug" / "wardgate"
REALM = "hospitals"
# The SMART scopes that the gateway tells applications about; a realm has to know them to give them.
SCOPES = ["user/*.read", "user/*.write", "user/*.rs", "user/*.cruds"]
APP, REDIRECT = "ward-app", "http://127.0.0.1/callback"
# Hospital, its reader and writer, and the engine of its database.
HOSPITALS = [
    ("north", "reader.north", "writer.north", "postgres"),
    ("south", "reader.south", "writer.south", "mariadb"),
    ("west", "reader.west", "admin.west", "sqlite"),
]


def server(name: str) -> dict:
    if name not in os.environ:
        raise SystemExit(f"{name} is not set: run `tests/run clients`")
    return json.loads(os.environ[name])


held_ports = []


def free_port() -> int:
    """A port that the system gives to nobody else while this program runs: taken, and free for who listens there."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    held_ports.append(held)
    return held.getsockname()[1]


class Keycloak:
    """The realm that is shipped, with what a hospital that admits SMART applications adds to it."""

    def __init__(self) -> None:
        self.settings = server("WARDGATE_TEST_KEYCLOAK")
        self.base = self.settings["base"]
        self.issuer = f"{self.base}/realms/{REALM}"
        client = self.admin("GET", f"/clients?clientId={APP}")[0]["id"]
        known = {scope["name"]: scope["id"] for scope in self.admin("GET", "/client-scopes")}
        for name in SCOPES:
            if name not in known:
                attributes = {"include.in.token.scope": "true", "display.on.consent.screen": "false"}
                self.admin("POST", "/client-scopes", {"name": name, "protocol": "openid-connect", "attributes": attributes})
        known = {scope["name"]: scope["id"] for scope in self.admin("GET", "/client-scopes")}
        for name in [*SCOPES, "profile"]:
            self.admin("PUT", f"/clients/{client}/optional-client-scopes/{known[name]}")
        for name in (APP, "ward-machine-north"):
            self.say_client(name)

    def say_client(self, name: str) -> None:
        """Lets tokens say in `cid` which client they are for, as @medplum/core wants it."""
        found = self.admin("GET", f"/clients?clientId={name}")[0]
        if any(mapper["name"] == "cid" for mapper in found.get("protocolMappers", [])):
            return
        settings = {"claim.name": "cid", "claim.value": name, "jsonType.label": "String", "access.token.claim": "true"}
        mapper = {"name": "cid", "protocol": "openid-connect", "protocolMapper": "oidc-hardcoded-claim-mapper", "config": settings}
        self.admin("POST", f"/clients/{found['id']}/protocol-mappers/models", mapper)

    def admin(self, method: str, path: str, body=None):
        s = self.settings
        form = {"grant_type": "password", "client_id": "admin-cli", "username": s["admin_user"], "password": s["admin_password"]}
        token = browser.post_form(f"{self.base}/realms/master/protocol/openid-connect/token", form)["access_token"]
        return browser.send(method, f"{self.base}/admin/realms/{REALM}{path}", body=body, token=token)

    def password(self, user: str) -> str:
        """A password for a sample user: the realms are shipped without any."""
        password = os.urandom(12).hex()
        found = self.admin("GET", f"/users?exact=true&username={user}")[0]["id"]
        self.admin("PUT", f"/users/{found}/reset-password", {"type": "password", "value": password, "temporary": False})
        return password

    def secret(self, client: str) -> str:
        found = self.admin("GET", f"/clients?clientId={client}")[0]["id"]
        return self.admin("GET", f"/clients/{found}/client-secret")["value"]


class Gateway:
    """`wardgate serve` with three hospitals, one for each engine."""

    def __init__(self, folder: Path, keycloak: Keycloak) -> None:
        self.folder, self.config = folder, folder / "wardgate.toml"
        postgres, mariadb = server("WARDGATE_TEST_POSTGRES"), server("WARDGATE_TEST_MARIADB")
        for name in ("keys", "sqlite", "audit", "checkpoints"):
            (folder / name).mkdir()
        fhir, admin = free_port(), free_port()
        self.base = f"http://127.0.0.1:{fhir}/fhir"
        allow = [f"127.0.0.1/32:{s['port']}" for s in (postgres, mariadb)]
        self.config.write_text(f"""
[fhir]
listen = "127.0.0.1:{fhir}"
public_url = "{self.base}"
[admin]
listen = "127.0.0.1:{admin}"
public_url = "http://127.0.0.1:{admin}"
[registry]
url = "sqlite:{folder}/registry.db"
[keys]
kek_file = "{folder}/keys/kek"
store = "sqlite:{folder}/keys/keys.db"
[[issuers]]
url = "{keycloak.issuer}"
audience = "wardgate-api"
[operators]
issuer = "{keycloak.base}/realms/operators"
audience = "wardgate-admin"
[egress]
allow = {json.dumps(allow)}
sqlite_dir = "{folder}/sqlite"
[audit]
dir = "{folder}/audit"
checkpoint_dir = "{folder}/checkpoints"
[limits]
requests_per_second = 1000
[log]
format = "json"
level = "info"
""")
        self.run("registry", "migrate")
        self.run("keys", "init")
        self.databases = {}
        for name, _, _, engine in HOSPITALS:
            database = {
                "postgres": lambda: hospital.Postgres(postgres, f"clients_{name}"),
                "mariadb": lambda: hospital.MariaDb(mariadb, f"clients_{name}"),
                "sqlite": lambda: hospital.Sqlite(folder / "sqlite", name),
            }[engine]()
            self.databases[name] = database
            words = ["tenant", "add", name, "--issuer", keycloak.issuer, "--claim", f"hospital-{name}", "--azp", APP, "--azp", "ward-cli"]
            words += ["--azp", f"ward-machine-{name}"]
            authority = {"postgres": postgres, "mariadb": mariadb}.get(engine)
            words += ["--ca-file", authority["ca_file"]] if authority else []
            self.run(*words, "-", stdin=database.url())
            self.run("mapping", "publish", name, str(Path(__file__).with_name("hospital.yaml")))
        self.process = subprocess.Popen(
            [WARDGATE, "--config", self.config, "serve"], stdout=subprocess.DEVNULL,
            stderr=open(folder / "gateway.log", "wb"), cwd=folder,
        )
        browser.wait_for(f"{self.base}/metadata", self.process)

    def run(self, *words: str, stdin: str = "") -> str:
        command = [WARDGATE, "--config", self.config, *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=self.folder, timeout=120)
        if done.returncode:
            raise SystemExit(f"wardgate {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


class Demo:
    """`wardgate demo`: three SQLite hospitals and an issuer of its own."""

    def __init__(self, folder: Path) -> None:
        command = [WARDGATE, "demo", "--json", "--data-dir", folder, "--fhir-port", "0", "--admin-port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.places = json.loads(self.process.stdout.readline())
        self.base, self.issuer = self.places["fhir"], f"{self.places['issuer']}/realms/{REALM}"

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()
