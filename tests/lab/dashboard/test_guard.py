"""Who may ask: 100 ways of being somebody else, all refused, and nothing is ever changed."""

import pytest

from sparsewire.lab.dashboard.app import application
from sparsewire.lab.dashboard.guard import POLICY, Door

pytest.importorskip("starlette", reason="the dashboard is made with starlette")
HERE = "127.0.0.1:8765"
PATHS = ["/", "/page.js", "/api/overview", "/api/trials", "/api/network?run=0&seed=0", "/events", "/nowhere"]


@pytest.fixture(scope="module")
def app(kept):
    return application(kept, Door(8765))


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8765", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:8765", "",
     "0.0.0.0:8765", "127.0.0.1:8765.evil.example", "127.0.0.1:8765@evil.example", "192.168.0.7:8765",
     "[::2]:8765", "localhost:08765", "user@localhost:8765", " localhost:8765 x", "127.1:8765", "2130706433:8765"],
)  # fmt: skip
@pytest.mark.parametrize("path", PATHS)
def test_foreign_names_are_refused(visit, app, path, host):
    answer = visit(app).get(path, headers={"host": host})
    assert answer.status_code == 400
    assert "localhost:8765" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": f"https://{HERE}"}, {"origin": ""},
        {"origin": "http://127.0.0.1:3000"}, {"origin": f"http://{HERE}.evil.example"}, {"origin": "http://localhost:8765"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", PATHS)
def test_foreign_pages_are_refused(visit, app, path, headers):
    assert visit(app).get(path, headers=headers).status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FOO"])
@pytest.mark.parametrize("path", PATHS)
def test_only_reading(visit, app, path, method):
    answer = visit(app).get(path, method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("host", [HERE, "localhost:8765", "LOCALHOST:8765", "[::1]:8765"])
def test_our_own_names_and_pages_may_ask(visit, app, host):
    visitor = visit(app, host)
    own = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
    typed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    for headers in ({}, {"origin": f"http://{host}"}, own, typed):
        answer = visitor.get("/", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
    assert visitor.get("/api/overview", "HEAD").content == b""


def test_twice_told_is_not_believed(visit, app):
    headers = [("host", "evil.example"), ("host", HERE)]
    assert visit(app).get("/", headers=headers).status_code == 400


def test_an_endless_address_is_refused(visit, app):
    assert visit(app).get("/api/trials?where=" + "a" * 10_000).status_code == 414


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/page.js/../app.py", "/app.py",
     "/store.sqlite", "/artefacts/", "//etc/passwd", "/page.js%00", "/\\..\\app.py", "/api/", "/api/network/../../x",
     "/api/network?run=../../../etc&seed=passwd", "/api/network?run=%2e%2e&seed=0", "/api/trial?run=..&seed=0"],
)  # fmt: skip
def test_no_file_but_the_pages_own(visit, app, path):
    answer = visit(app).get(path)
    assert answer.status_code in (404, 422)
    assert "root:" not in answer.text
    assert "import" not in answer.text


def test_a_token_is_brought_once_and_then_remembered(visit, kept):
    app = application(kept, Door(8765, token="secret-token"))
    stranger = visit(app)
    for path in PATHS:
        assert stranger.get(path).status_code == 403
        assert stranger.get(path, headers={"cookie": "sparsewire-8765=guess"}).status_code == 403
    for query in ("token=", "token=secret", "token=secret-token1", "token=%ff", "tok=secret-token", "&" * 2000):
        assert stranger.get(f"/?{query}").status_code == 403
    answer = stranger.get("/?token=secret-token")
    assert answer.status_code == 200
    assert answer.headers["set-cookie"] == "sparsewire-8765=secret-token; Path=/; HttpOnly; SameSite=Strict"
    assert stranger.get("/api/overview").status_code == 200
    assert stranger.get("/", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "localhost:80", "[::1]:80"])
def test_of_port_80_browsers_do_not_speak(host):
    assert Door(80).knows(host)
    assert not Door(8765).knows(host)
    assert not Door(80).knows("evil.example")


@pytest.mark.parametrize(
    "other",
    ['user={"a":1}; ', "flag; ", "a b=1; ", 'x="open; ', "path=/; ", "a[b]=c; ", "sparsewire-8765=old; ", "ä=ö; "],
)
def test_cookies_of_other_programs_of_this_machine_do_not_hide_ours(visit, kept, other):
    visitor = visit(application(kept, Door(8765, token="secret")))
    for ours, status in (("sparsewire-8765=secret", 200), ("sparsewire-8765=secre", 403), ("", 403)):
        cookie = f"{other}{ours}".encode("latin-1")
        assert visitor.get("/api/overview", headers={"host": HERE, "cookie": cookie}).status_code == status
