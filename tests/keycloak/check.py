#!/usr/bin/env python3
"""Checks that the realms in config/keycloak behave as the gateway needs, on a running Keycloak.

Reads WARDGATE_TEST_KEYCLOAK, as `tests/servers.sh env` prints it. `tests/run keycloak` starts one.
Standard library only.
"""

import base64
import hashlib
import html
import http.client
import json
import os
import re
import secrets
import sys
import traceback
import urllib.parse

try:
    SERVER = json.loads(os.environ["WARDGATE_TEST_KEYCLOAK"])
except KeyError:
    sys.exit("WARDGATE_TEST_KEYCLOAK is not set: run `tests/run keycloak`")
ADDRESS = urllib.parse.urlsplit(SERVER["base"])
HOSPITALS, OPERATORS, HOSTILE = "hospitals", "operators", "hostile"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def call(method, path, form=None, body=None, token=None, cookies=None):
    headers = {"Accept": "application/json, text/html"}
    if token:
        headers["Authorization"] = "Bearer " + token
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    data = None
    if form is not None:
        data, headers["Content-Type"] = urllib.parse.urlencode(form), "application/x-www-form-urlencoded"
    elif body is not None:
        data, headers["Content-Type"] = json.dumps(body), "application/json"
    connection = http.client.HTTPConnection(ADDRESS.hostname, ADDRESS.port, timeout=60)
    try:
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read().decode())
    finally:
        connection.close()
    if cookies is not None:
        # By hand, because the cookies are marked Secure even on loopback, and a cookie jar would keep them back.
        for line in response.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            cookies[name] = value
    return answer


def token_endpoint(realm, **form):
    return call("POST", f"/realms/{realm}/protocol/openid-connect/token", form=form)


def tokens(realm, **form):
    answer = token_endpoint(realm, **form)
    assert answer.status == 200, f"{answer.status} {answer.body}"
    return answer.json()


def part(token, index):
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def header(token):
    return part(token, 0)


def claims(token):
    return part(token, 1)


def audience(token_claims):
    found = token_claims.get("aud", [])
    return [found] if isinstance(found, str) else found


class Admin:
    """The administrator's view of one realm."""

    def __init__(self, realm):
        self.realm = realm

    def call(self, method, path, body=None):
        # A fresh token each time: the administrator's live for a minute.
        token = tokens(
            "master",
            grant_type="password",
            client_id="admin-cli",
            username=SERVER["admin_user"],
            password=SERVER["admin_password"],
        )["access_token"]
        return call(method, f"/admin/realms/{self.realm}{path}", body=body, token=token)

    def get(self, path):
        answer = self.call("GET", path)
        assert answer.status == 200, f"{answer.status} {answer.body}"
        return answer.json()

    def user(self, name):
        return self.get(f"/users?exact=true&username={name}")[0]

    def client(self, client_id):
        return self.get(f"/clients?clientId={client_id}")[0]

    def secret(self, client_id):
        return self.get(f"/clients/{self.client(client_id)['id']}/client-secret")["value"]

    def give_password(self, name):
        """A password for a sample user: the realms are shipped without any."""
        password = secrets.token_hex(12)
        body = {"type": "password", "value": password, "temporary": False}
        answer = self.call("PUT", f"/users/{self.user(name)['id']}/reset-password", body)
        assert answer.status == 204, f"{answer.status} {answer.body}"
        return password


def password_tokens(realm, user, client="ward-cli", **more):
    password = "hostile" if realm == HOSTILE else Admin(realm).give_password(user)
    return tokens(realm, grant_type="password", client_id=client, username=user, password=password, **more)


def code_flow(realm, client, redirect, user, challenge=True, **more):
    """Signs in as a browser would; gives the token endpoint's answer, or the page's error."""
    verifier, cookies = secrets.token_urlsafe(48), {}
    query = {"response_type": "code", "client_id": client, "redirect_uri": redirect, "scope": "openid", "state": "s"}
    if challenge:
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query |= {"code_challenge": digest, "code_challenge_method": "S256"}
    page = call("GET", f"/realms/{realm}/protocol/openid-connect/auth?" + urllib.parse.urlencode(query), cookies=cookies)
    if page.status != 200:
        return page
    password = Admin(realm).give_password(user)
    action = html.unescape(re.search(r'action="([^"]+)"', page.body).group(1))
    target = urllib.parse.urlsplit(action)
    answer = call("POST", f"{target.path}?{target.query}", form={"username": user, "password": password}, cookies=cookies)
    assert answer.status == 302, f"{answer.status} {answer.body}"
    location = urllib.parse.urlsplit(answer.headers["Location"])
    code = urllib.parse.parse_qs(location.query)["code"][0]
    return token_endpoint(
        realm, grant_type="authorization_code", client_id=client, code=code, redirect_uri=redirect,
        code_verifier=verifier, **more,
    )


# ------------------------------------------------------------------------------------------ the shipped realms


def a_users_token_names_hospital_audience_and_roles():
    token = password_tokens(HOSPITALS, "writer.north")["access_token"]
    head, body = header(token), claims(token)
    assert head["alg"] == "RS256" and head["typ"] == "JWT" and head["kid"], head
    assert body["iss"] == f"{SERVER['base']}/realms/{HOSPITALS}", body["iss"]
    assert body["typ"] == "Bearer" and body["azp"] == "ward-cli", body
    assert body["client_id"] == "hospital-north", body
    assert audience(body) == ["wardgate-api"], body.get("aud")
    assert sorted(body["realm_access"]["roles"]) == ["fhir-read", "fhir-write"], body["realm_access"]
    assert body["sub"] and body["sid"] and body["jti"], body
    assert body["exp"] - body["iat"] == 300, body
    assert "email" not in body and "name" not in body, "an access token carries no more of a person than it must"


def each_hospital_is_told_apart():
    found = {user: claims(password_tokens(HOSPITALS, user)["access_token"])["client_id"]
             for user in ("reader.north", "reader.south", "reader.west")}
    assert found == {"reader.north": "hospital-north", "reader.south": "hospital-south", "reader.west": "hospital-west"}, found


def the_key_is_in_the_key_set():
    token = password_tokens(HOSPITALS, "reader.north")["access_token"]
    keys = call("GET", f"/realms/{HOSPITALS}/protocol/openid-connect/certs").json()["keys"]
    key = next(key for key in keys if key["kid"] == header(token)["kid"])
    assert key["use"] == "sig" and key["alg"] == "RS256", key


def the_application_signs_in_with_code_and_challenge():
    answer = code_flow(HOSPITALS, "ward-app", "http://127.0.0.1/callback", "reader.south")
    assert answer.status == 200, f"{answer.status} {answer.body}"
    body = claims(answer.json()["access_token"])
    assert body["azp"] == "ward-app" and body["client_id"] == "hospital-south", body
    assert audience(body) == ["wardgate-api"] and body["realm_access"]["roles"] == ["fhir-read"], body
    assert "client_id" not in claims(answer.json()["id_token"])


def the_application_is_refused_without_a_challenge():
    answer = code_flow(HOSPITALS, "ward-app", "http://127.0.0.1/callback", "reader.south", challenge=False)
    location = answer.headers.get("Location", "")
    assert answer.status == 302 and "error=invalid_request" in location and "code_challenge" in location, location


def the_application_takes_no_passwords():
    password = Admin(HOSPITALS).give_password("reader.north")
    answer = token_endpoint(HOSPITALS, grant_type="password", client_id="ward-app", username="reader.north", password=password)
    assert answer.status == 400 and answer.json()["error"] == "unauthorized_client", answer.body


def the_shipped_realms_know_no_password():
    for realm in (HOSPITALS, OPERATORS):
        with open(f"config/keycloak/{realm}-realm.json", encoding="utf-8") as file:
            text = file.read()
        assert '"credentials"' not in text and '"secret"' not in text, realm


def a_machines_token_names_its_hospital_and_not_itself():
    token = tokens(HOSPITALS, grant_type="client_credentials", client_id="ward-machine-north",
                   client_secret=Admin(HOSPITALS).secret("ward-machine-north"))["access_token"]
    body = claims(token)
    assert body["client_id"] == "hospital-north" and body["azp"] == "ward-machine-north", body
    assert audience(body) == ["wardgate-api"] and body["realm_access"]["roles"] == ["fhir-read"], body
    assert body["typ"] == "Bearer" and "sid" not in body, body


def a_user_cannot_change_her_hospital():
    admin = Admin(HOSPITALS)
    token = password_tokens(HOSPITALS, "writer.south", client="admin-cli")["access_token"]
    path = f"/realms/{HOSPITALS}/account"
    profile = call("GET", path, token=token)
    assert profile.status == 200, f"{profile.status} {profile.body}"
    wanted = profile.json()
    assert "client_id" not in wanted.get("attributes", {}), "she does not even see it"
    harmless = dict(wanted, firstName="Another")
    changed = call("POST", path, body=harmless, token=token)
    assert changed.status == 204, f"the account API works: {changed.status} {changed.body}"
    stolen = dict(harmless, attributes=dict(wanted.get("attributes", {}), client_id=["hospital-north"]))
    call("POST", path, body=stolen, token=token)
    after = admin.user("writer.south")
    assert after["attributes"]["client_id"] == ["hospital-south"], after
    assert claims(password_tokens(HOSPITALS, "writer.south")["access_token"])["client_id"] == "hospital-south"


def an_administrator_cannot_write_nonsense():
    admin = Admin(HOSPITALS)
    user = admin.user("reader.west")
    for bad in (["a", "b"], ["Hospital West"], ["-west"], ["x" * 64]):
        answer = admin.call("PUT", f"/users/{user['id']}", dict(user, attributes={"client_id": bad}))
        assert answer.status == 400, f"{bad}: {answer.status}"
    good = admin.call("PUT", f"/users/{user['id']}", dict(user, attributes={"client_id": ["hospital-west"]}))
    assert good.status == 204, good.body


def nobody_registers_herself():
    for realm in (HOSPITALS, OPERATORS):
        page = call("GET", f"/realms/{realm}/protocol/openid-connect/registrations?client_id=account&response_type=code"
                           "&redirect_uri=" + urllib.parse.quote(f"{SERVER['base']}/realms/{realm}/account/", safe=""), cookies={})
        assert page.status >= 400, page.status
        for name in ({}, {"client_id": "hospital-north"}):
            client = call("POST", f"/realms/{realm}/clients-registrations/openid-connect",
                          body={"redirect_uris": ["http://127.0.0.1/"], **name})
            assert client.status in (400, 401, 403), f"{client.status} {client.body}"
            assert not Admin(realm).get("/clients?clientId=hospital-north"), "no client came of it"


def a_refresh_token_counts_once():
    first = password_tokens(HOSPITALS, "reader.north")["refresh_token"]
    again = tokens(HOSPITALS, grant_type="refresh_token", client_id="ward-cli", refresh_token=first)
    assert claims(again["access_token"])["client_id"] == "hospital-north"
    answer = token_endpoint(HOSPITALS, grant_type="refresh_token", client_id="ward-cli", refresh_token=first)
    assert answer.status == 400, answer.status


def an_operators_token_is_for_the_control_plane_only():
    secret = Admin(OPERATORS).secret("wardgate-panel")
    redirect = "http://127.0.0.1:8081/panel/callback"
    found = {}
    for user in ("operator.sample", "visitor.sample"):
        answer = code_flow(OPERATORS, "wardgate-panel", redirect, user, client_secret=secret)
        assert answer.status == 200, f"{answer.status} {answer.body}"
        body = claims(answer.json()["access_token"])
        assert audience(body) == ["wardgate-admin"] and body["azp"] == "wardgate-panel", body
        assert body["typ"] == "Bearer" and "client_id" not in body, body
        found[user] = body.get("realm_access", {}).get("roles", [])
    assert found == {"operator.sample": ["wardgate-operator"], "visitor.sample": []}, found


def who_looks_at_resources_signs_in_with_both_rights_and_no_more():
    secret = Admin(HOSPITALS).secret("wardgate-preview")
    redirect = "http://127.0.0.1:8081/panel/look"
    found = {}
    for user in ("admin.west", "writer.south"):
        answer = code_flow(HOSPITALS, "wardgate-preview", redirect, user, client_secret=secret)
        assert answer.status == 200, f"{answer.status} {answer.body}"
        body = claims(answer.json()["access_token"])
        assert audience(body) == ["wardgate-api"] and body["azp"] == "wardgate-preview", body
        found[user] = (body["client_id"], sorted(body["realm_access"]["roles"]))
    assert found == {"admin.west": ("hospital-west", ["fhir-admin", "fhir-read"]),
                     "writer.south": ("hospital-south", ["fhir-read"])}, found


# ------------------------------------------------------------------------------------------ what the gateway must survive


def hostile_a_service_account_can_be_named_like_a_hospital():
    body = claims(tokens(HOSTILE, grant_type="client_credentials", client_id="hospital-south", client_secret="hostile")["access_token"])
    # All a careless gateway looks at is right; only the client it was issued to gives it away.
    assert body["client_id"] == "hospital-south" and "wardgate-api" in audience(body), body
    assert "fhir-read" in body["realm_access"]["roles"] and body["azp"] == "hospital-south", body


def hostile_a_user_moves_where_unmanaged_attributes_are_enabled():
    token = password_tokens(HOSTILE, "wanderer", client="admin-cli")["access_token"]
    path = f"/realms/{HOSTILE}/account"
    profile = call("GET", path, token=token).json()
    profile.setdefault("attributes", {})["client_id"] = ["hospital-south"]
    assert call("POST", path, body=profile, token=token).status == 204
    assert claims(password_tokens(HOSTILE, "wanderer")["access_token"])["client_id"] == "hospital-south"


def hostile_tokens_of_every_odd_shape_can_be_had():
    assert "aud" not in claims(password_tokens(HOSTILE, "nobody", client="no-audience")["access_token"])
    assert "client_id" not in claims(password_tokens(HOSTILE, "nobody")["access_token"])
    several = claims(password_tokens(HOSTILE, "everywhere", client="many-hospitals")["access_token"])["client_id"]
    assert sorted(several) == ["hospital-north", "hospital-south"], several
    two = tokens(HOSTILE, grant_type="client_credentials", client_id="two-mappers", client_secret="hostile")["access_token"]
    assert claims(two)["client_id"] in ("two-mappers", "hospital-south"), claims(two)


def main():
    prefixes = ("a_", "an_", "each_", "the_", "nobody_", "hostile_")
    checks = [value for name, value in list(globals().items()) if name.startswith(prefixes)]
    passed = failed = 0
    for check in checks:
        try:
            check()
        except Exception:  # every fault is reported, and none keeps the next check from running
            failed += 1
            print(f"test keycloak::{check.__name__} ... FAILED")
            traceback.print_exc(file=sys.stdout)
        else:
            passed += 1
            print(f"test keycloak::{check.__name__} ... ok")
        sys.stdout.flush()
    print(f"\ntest result: {'FAILED' if failed else 'ok'}. {passed} passed; {failed} failed; 0 ignored")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
