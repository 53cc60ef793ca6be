"""What a person's browser does when an application sends her to sign in; and plain requests. Standard library only."""

import html
import http.client
import json
import re
import time
import urllib.parse


class Answer:
    def __init__(self, status: int, headers, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def call(method: str, url: str, headers=None, data=None, cookies=None) -> Answer:
    """One request, no redirects followed."""
    parts = urllib.parse.urlsplit(url)
    headers = dict(headers or {})
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
    finally:
        connection.close()
    if cookies is not None:
        # By hand: the cookies are marked Secure even on loopback, and a cookie jar would keep them back.
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            cookies[name] = value
    return answer


def post_form(url: str, form: dict) -> dict:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = call("POST", url, headers, urllib.parse.urlencode(form))
    assert answer.status == 200, f"{answer.status} {answer.body.decode()}"
    return answer.json()


def send(method: str, url: str, body=None, token=None):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    answer = call(method, url, headers, None if body is None else json.dumps(body))
    assert answer.status < 300, f"{method} {url}: {answer.status} {answer.body.decode()}"
    return answer.json() if answer.body else None


def sign_in(address: str, user: str, password: str) -> str:
    """Follows an application's sign-in address as a person would; gives where she is sent back to."""
    cookies = {}
    page = call("GET", address, cookies=cookies)
    if page.status == 302:
        return page.headers["Location"]  # with an error, where the address asked for something odd
    text = page.body.decode()
    assert page.status == 200, f"the sign-in page: {page.status} {text}"
    choice = re.search(rf'href="(auth/{re.escape(user)}\?[^"]*)"', text)
    if choice:  # the demo: choose who you are
        answer = call("GET", urllib.parse.urljoin(address, html.unescape(choice.group(1))))
    else:  # Keycloak: a form
        action = html.unescape(re.search(r'action="([^"]+)"', text).group(1))
        form = urllib.parse.urlencode({"username": user, "password": password})
        answer = call("POST", action, {"Content-Type": "application/x-www-form-urlencoded"}, form, cookies)
    assert answer.status in (302, 303), f"signing in: {answer.status} {answer.body.decode()[:500]}"
    return answer.headers["Location"]


def wait_for(url: str, process) -> None:
    for _ in range(300):
        assert process.poll() is None, f"the gateway ended with {process.returncode}"
        try:
            if call("GET", url).status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} did not answer")
