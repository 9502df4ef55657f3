# SPDX-License-Identifier: Apache-2.0
"""Who may do what, over HTTPS and the control socket: sign_in.py STEP PORT CA CONTROL_SOCKET KEPT_FILE [CODE]

What a step leaves for the next one lies in KEPT_FILE."""
import http.client
import json
import socket
import ssl
import sys
import time

STEP, PORT, CA, SOCKET, KEPT = sys.argv[1:6]
PASSWORD = "correct horse battery staple"
TLS = ssl.create_default_context(cafile=CA)


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.raw = response.status, response.headers, response.read()

    def __getitem__(self, name):
        return json.loads(self.raw)[name]

    def __repr__(self):
        return f"{self.status} {self.raw[:300]}"


def ask(method, target, body=None, token=None, local=False, source="127.0.0.1", **headers):
    connection = UnixConnection("localhost") if local else http.client.HTTPSConnection("127.0.0.1", PORT, context=TLS, source_address=(source, 0))
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        fields["Authorization"] = "Bearer " + token
    data = None
    if body is not None:
        data, fields["Content-Type"] = json.dumps(body, ensure_ascii=False).encode(), "application/json"
    connection.request(method, target, body=data, headers=fields)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def expect(status, answer, what):
    assert answer.status == status, f"{what}: expected {status}, got {answer}"
    return answer


def sign_in(name, password=PASSWORD, **more):
    return ask("POST", "/api/session", {"name": name, "password": password}, **more)


class Session:
    def __init__(self, name, password=PASSWORD):
        answer = expect(200, sign_in(name, password), f"{name} signs in")
        self.cookie, self.csrf, self.set_cookie = answer.headers["Set-Cookie"].split(";")[0], answer["csrf_token"], answer.headers["Set-Cookie"]

    def ask(self, method, target, body=None, **headers):
        fields = {"Cookie": self.cookie, "X_CSRF_Token": self.csrf}
        fields.update(headers)
        return ask(method, target, body, **fields)


def token_of(name, **wanted):
    return expect(201, Session(name).ask("POST", "/api/tokens", {"label": "a test's", **wanted}), f"a token of {name}")


def first_start():
    code = sys.argv[6]
    for target, status in {"/healthz": 200, "/api/openapi.json": 200, "/api/status": 401, "/metrics": 401,
                           "/readyz": 401, "/api/users": 401, "/api/session": 401}.items():
        expect(status, ask("GET", target), f"{target} before there is a user")
    answer = ask("GET", "/api/status")
    assert answer.headers["WWW-Authenticate"] == "Bearer", answer.headers
    first = {"name": "adam", "password": PASSWORD}
    expect(401, ask("POST", "/api/setup", {"code": "22222-22222-22222", **first}), "a wrong code")
    expect(401, ask("POST", "/api/setup", {"code": "", **first}), "an empty code")
    expect(400, ask("POST", "/api/setup", {"code": code, "name": "adam", "password": "short"}), "a short password")
    expect(400, ask("POST", "/api/setup", {"code": code, "name": "../adam", "password": PASSWORD}), "a wrong name")
    expect(401, sign_in("adam"), "signing in before there is a user")
    made = expect(201, ask("POST", "/api/setup", {"code": code, **first}), "the first start")
    assert made["roles"] == ["admin"] and not made["sees_data"], made
    expect(403, ask("POST", "/api/setup", {"code": code, "name": "eve", "password": PASSWORD}), "a second first start")
    expect(403, ask("POST", "/api/setup", {"code": code, "name": "eve", "password": PASSWORD}, local=True), "one by root")


def cookies():
    session = Session("adam")
    flags = {flag.strip() for flag in session.set_cookie.split(";")[1:]}
    assert session.cookie.startswith("__Host-hindsight=") and flags == {"Path=/", "HttpOnly", "SameSite=Strict", "Secure"}, session.set_cookie
    assert expect(200, session.ask("GET", "/api/session"), "who am I")["user"] == "adam"
    new = {"name": "mallory", "password": PASSWORD, "roles": ["admin"]}
    ours, other = f"https://127.0.0.1:{PORT}", "https://evil.example"
    for what, headers in {
        "no CSRF token": {"X_CSRF_Token": ""},
        "another CSRF token": {"X_CSRF_Token": session.csrf[:-1] + ("A" if session.csrf[-1] != "A" else "B")},
        "that of another session": {"X_CSRF_Token": Session("adam").csrf},
        "a page of another origin": {"Origin": other},
        "a page without an origin": {"Origin": "null"},
        "another port": {"Origin": "https://127.0.0.1:1"},
        "another site": {"Sec_Fetch_Site": "cross-site"},
        "another host of the site": {"Sec_Fetch_Site": "same-site"},
    }.items():
        expect(403, session.ask("POST", "/api/users", new, **headers), what)
    expect(403, sign_in("adam", Origin=other), "a page of another origin that signs in")
    expect(401, ask("GET", "/api/users", Cookie=session.cookie[:-1] + "x"), "a forged session")
    expect(401, ask("GET", "/api/users", Cookie=session.cookie.replace("__Host-", "")), "a cookie of another name")
    expect(201, session.ask("POST", "/api/users", {**new, "name": "bertha"}, Origin=ours, Sec_Fetch_Site="same-origin"), "our page")
    expect(200, session.ask("DELETE", "/api/session"), "signing out")
    expect(401, session.ask("GET", "/api/users"), "a session that was ended")
    idle = Session("adam")
    expect(200, sign_in("adam", Cookie="__Host-hindsight=stale"), "signing in with a stale cookie")
    expect(200, idle.ask("GET", "/api/users"), "another session goes on")


# What each operation takes, said here once more: of these roles one is needed, and leave to see data where it says so.
ANYBODY, ANY = "anybody", {"viewer", "operator", "restorer", "admin", "process"}
NEEDS = {
    "getDescription": ANYBODY, "getHealth": ANYBODY, "setUp": ANYBODY, "signIn": ANYBODY,
    **dict.fromkeys(["getMetrics", "getReadiness", "getStatus", "listVolumes", "getVolume", "getPoints",
                     "getTimeline", "getDiff", "listJobs", "getEvents", "getJob", "cancelJob",
                     "listClones", "listMarks", "getSession", "signOut", "changePassword", "listTokens", "createToken",
                     "revokeToken"], ANY),
    **dict.fromkeys(["createVolume", "changeVolume", "removeVolume", "removeClone", "createMark", "verify", "testAlert"], {"operator", "process"}),
    **dict.fromkeys(["resumeVolume", "rollBack"], {"restorer", "process"}),
    **dict.fromkeys(["createView", "createClone"], {"operator+data", "process"}),
    "getImage": {"restorer+data", "process"},
    **dict.fromkeys(["listUsers", "createUser", "changeUser", "removeUser"], {"admin"}),
    "getAudit": {"admin", "process"},
}


def matrix():
    admin = Session("adam")
    callers = {"nobody": {}, "process": {"local": True}}
    for name, roles, sees_data in [("viewer", ["viewer"], False), ("operator", ["operator"], False),
                                   ("restorer", ["restorer"], False), ("admin", ["admin"], False),
                                   ("viewer+data", ["viewer"], True), ("operator+data", ["operator"], True),
                                   ("restorer+data", ["restorer"], True), ("admin+data", ["admin"], True)]:
        user = "of." + name.replace("+", "-")
        made = admin.ask("POST", "/api/users", {"name": user, "password": PASSWORD, "roles": roles, "sees_data": sees_data})
        assert expect(201, made, user)["sees_data"] == sees_data
        callers[name] = {"token": token_of(user)["token"]}
    callers["forged"] = {"token": "hindsight_" + "A" * 43}
    revoked = token_of("of.admin")
    expect(200, ask("DELETE", "/api/tokens/" + revoked["id"], token=revoked["token"]), "revoking a token by itself")
    callers["revoked"] = {"token": revoked["token"]}

    operations = {}
    for path, methods in json.loads(ask("GET", "/api/openapi.json").raw)["paths"].items():
        for method, operation in methods.items():
            operations[operation["operationId"]] = (method.upper(), path, None)
    assert set(operations) == set(NEEDS), f"not in both: {set(operations) ^ set(NEEDS)}"
    # A volume from a point is a recovery, whatever else the operation makes.
    operations["recovery"] = ("POST", "/api/volumes", {"name": "x", "origin": {"volume": "shop", "at": "now"}})
    wanted = {**NEEDS, "recovery": {"restorer", "process"}}
    tried = 0
    for operation_id, (method, path, body) in operations.items():
        # A request that is refused for what it says, but only to whom may say it.
        target = path.format(volume="shop", clone="none", user="nobody", token="none", job="0") + "?frob=1"
        for name, caller in callers.items():
            base = name.split("+")[0]
            may = wanted[operation_id] == ANYBODY or base in wanted[operation_id] or name in wanted[operation_id]
            known = name not in ("nobody", "forged", "revoked")
            status = 400 if may else 403 if known else 401
            if target.startswith(("/metrics", "/healthz", "/readyz", "/api/openapi")) and may:
                status = 400
            expect(status, ask(method, target, body, **caller), f"{operation_id} by {name}")
            tried += 1
    print(f"    {tried} pairs of a caller and an operation: all that is not allowed is refused")


def users():
    admin = Session("adam")
    expect(400, admin.ask("POST", "/api/users", {"name": "carl", "password": PASSWORD, "roles": ["root"]}), "a role that is none")
    expect(400, admin.ask("POST", "/api/users", {"name": "carl", "password": "carl-carl-carl", "roles": ["viewer"]}), "a password with the name")
    for name in ("", "a b", "../x", "x" * 65, "\u00e9", "a/b", "-a", "a\0b"):
        expect(400, admin.ask("POST", "/api/users", {"name": name, "password": PASSWORD, "roles": ["viewer"]}), f"the name {name!r}")
    expect(201, admin.ask("POST", "/api/users", {"name": "carl", "password": PASSWORD, "roles": ["operator"]}), "carl")
    expect(409, admin.ask("POST", "/api/users", {"name": "carl", "password": PASSWORD, "roles": ["viewer"]}), "carl again")
    # What the audit cannot keep as it is, and must not take long over.
    began = time.monotonic()
    for name in ("\x7f" * 900_000, "\x7f" * 2000, "\x7f" * 30):
        expect(400, admin.ask("POST", "/api/users", {"name": name, "password": PASSWORD, "roles": ["viewer"]}), "a name of deletes")
    assert time.monotonic() - began < 20
    # Tokens do no more than who makes them.
    carl = Session("carl")
    expect(403, carl.ask("POST", "/api/tokens", {"label": "more", "roles": ["admin"]}), "a token that can do more")
    expect(403, carl.ask("POST", "/api/tokens", {"label": "more", "sees_data": True}), "a token that sees more")
    expect(400, carl.ask("POST", "/api/tokens", {"label": "for ever", "days": 367}), "a token for ever")
    expect(400, carl.ask("POST", "/api/tokens", {"label": "never", "days": 0}), "a token for no day")
    token = expect(201, carl.ask("POST", "/api/tokens", {"label": "ci", "days": 7}), "a token")
    expect(403, ask("POST", "/api/tokens", {"label": "longer", "days": 8}, token=token["token"]), "a token that outlives its maker")
    expect(401, ask("POST", "/api/tokens", {"label": "longer", "days": 8, "password": "a wrong one"}, token=token["token"]), "with a wrong password")
    longer = expect(201, ask("POST", "/api/tokens", {"label": "longer", "days": 8, "password": PASSWORD}, token=token["token"]), "with the password")
    assert longer["expires"] > token["expires"], longer
    heir = expect(201, ask("POST", "/api/tokens", {"label": "heir"}, token=token["token"]), "a token by a token")
    assert heir["expires"] <= token["expires"], (heir, token)
    other = token_of("adam")
    expect(404, ask("DELETE", "/api/tokens/" + other["id"], token=token["token"]), "revoking another's token")
    assert all(t["user"] == "carl" for t in ask("GET", "/api/tokens", token=token["token"])["tokens"]), "others' tokens are not shown"
    mark = expect(201, ask("POST", "/api/marks", {"label": "by carl", "all": True}, token=token["token"]), "a mark of carl's")
    assert mark["author"] == "carl", mark
    # A change is in force with the next request.
    expect(403, ask("GET", "/api/users", token=token["token"]), "carl is no administrator")
    expect(200, admin.ask("PATCH", "/api/users/carl", {"roles": ["viewer"]}), "carl becomes a viewer")
    expect(403, ask("POST", "/api/verify", {}, token=token["token"]), "the token of an operator who is none any more")
    # Whoever may see jobs may not end them.
    job = expect(202, ask("POST", "/api/verify", {}, local=True), "a job")
    expect(200, ask("GET", f"/api/jobs/{job['id']}", token=token["token"]), "a viewer looks at a job")
    expect(403, ask("DELETE", f"/api/jobs/{job['id']}", token=token["token"]), "a viewer ends a job")
    # Passwords.
    expect(401, carl.ask("POST", "/api/password", {"current": "another one, wrong", "new": PASSWORD + "2"}), "a wrong present password")
    expect(200, carl.ask("POST", "/api/password", {"current": PASSWORD, "new": PASSWORD + "2"}), "another password")
    expect(401, carl.ask("GET", "/api/session"), "a session from before the change")
    expect(401, sign_in("carl"), "the old password")
    expect(200, sign_in("carl", PASSWORD + "2"), "the new one")
    expect(403, ask("POST", "/api/password", {"current": PASSWORD, "new": PASSWORD}, local=True), "a process has no password")
    expect(403, ask("POST", "/api/tokens", {"label": "root's"}, local=True), "a process has no tokens")
    # At the control socket a token is its user, not the process.
    assert ask("GET", "/api/session", local=True)["by"] == "process"
    assert ask("GET", "/api/session", local=True, token=token["token"])["user"] == "carl"
    expect(403, ask("GET", "/api/audit", local=True, token=token["token"]), "root with carl's token")
    # Removing.
    expect(200, admin.ask("DELETE", "/api/users/carl"), "carl goes")
    for what in (token, heir):
        expect(401, ask("GET", "/api/status", token=what["token"]), "a token of one who was removed")
    expect(401, sign_in("carl", PASSWORD + "2"), "one who was removed signs in")
    expect(409, admin.ask("POST", "/api/users", {"name": "carl", "password": PASSWORD, "roles": ["viewer"]}), "the name again")
    for name in ("of.admin", "of.admin-data", "bertha"):
        expect(200, admin.ask("DELETE", "/api/users/" + name), f"{name} goes")
    expect(409, admin.ask("DELETE", "/api/users/adam"), "the only administrator goes")
    expect(409, admin.ask("PATCH", "/api/users/adam", {"roles": ["viewer"]}), "the only administrator becomes a viewer")


def guesses():
    admin = Session("adam")
    expect(201, admin.ask("POST", "/api/users", {"name": "dora", "password": PASSWORD, "roles": ["viewer"]}), "dora")
    wrong = [expect(401, sign_in(name, "not this one, surely"), "a guess") for name in ["dora"] * 5 + ["nobody-of-that-name"]]
    assert len({answer["detail"] for answer in wrong}) == 1, "the answer tells whether there is such a user"
    locked = expect(429, sign_in("dora"), "the right password after five wrong ones")
    assert 1 <= int(locked.headers["Retry-After"]) <= 2, locked.headers
    time.sleep(int(locked.headers["Retry-After"]))
    expect(200, sign_in("dora"), "the right password, later")
    for _ in range(5):
        sign_in("nobody-of-that-name", "not this one, surely", source="127.0.0.8")
    expect(429, sign_in("nobody-of-that-name"), "a name that is nobody's waits, too")
    for guess in range(20):
        sign_in(f"user{guess}", "not this one, surely", source="127.0.0.9")
    expect(429, sign_in("adam", source="127.0.0.9"), "an address that tries many names waits")
    expect(200, sign_in("adam"), "others do not wait for it")


def audit():
    admin = Session("adam")
    expect(400, admin.ask("GET", "/api/audit?limit=0"), "a page of nothing")
    refused = expect(404, admin.ask("DELETE", "/api/users/nobody.at.all"), "a user that there is not").headers["X-Request-Id"]
    entries, before = [], ""
    while True:
        page = json.loads(expect(200, admin.ask("GET", f"/api/audit?limit=50{before}"), "the audit").raw)
        entries += page["audit"]
        if "before" not in page:
            break
        before = f"&before={page['before']}"
    lsns = [entry["lsn"] for entry in entries]
    assert lsns == sorted(set(lsns), reverse=True), "newest first, each once"
    found = {(entry["act"], entry["status"], entry["actor"]) for entry in entries}
    for wanted in [("setUp", 401, "nobody"), ("setUp", 201, "adam"), ("signIn", 200, "adam"), ("signIn", 401, "nobody"), ("createUser", 201, "adam"),
                   ("createUser", 403, "nobody"), ("removeUser", 409, "adam"), ("createToken", 201, "carl"),
                   ("createVolume", 201, "root (uid 0)")]:
        assert wanted in found, f"{wanted} is not among {sorted(found)}"
    assert any(json.loads(entry["detail"]).get("roles") == ["operator"] for entry in entries)
    assert any(json.loads(entry["detail"]).get("left_out") for entry in entries), "a name of 900,000 bytes"
    assert any(json.loads(entry["detail"]).get("name") == "\x7f" * 30 for entry in entries), "one of 30"
    requests = [request for entry in entries if (request := json.loads(entry["detail"]).get("request"))]
    assert len(requests) > 50 and len(set(requests)) == len(requests), "each has the number of its own request"
    assert [entry["act"] for entry in entries if json.loads(entry["detail"]).get("request") == refused] == ["removeUser"], refused
    print(f"    {len(entries)} entries of the audit")


def keep():
    kept = {"token": token_of("of.operator", days=1)["token"], "long": token_of("of.operator", days=30)["token"]}
    kept["cookie"] = Session("adam").cookie
    with open(KEPT, "w") as file:
        json.dump(kept, file)


def kept():
    with open(KEPT) as file:
        had = json.load(file)
    expect(200, ask("GET", "/api/status", token=had["long"]), "a token from before")
    expect(401, ask("GET", "/api/users", Cookie=had["cookie"]), "a session from before")
    expect(200, sign_in("adam"), "a user from before")
    expect(403, ask("POST", "/api/setup", {"code": "22222-22222-22222", "name": "eve", "password": PASSWORD}), "a first start")


def expired():
    with open(KEPT) as file:
        had = json.load(file)
    answer = expect(401, ask("GET", "/api/status", token=had["token"]), "a token that has expired")
    assert "expired" in answer["detail"], answer
    expect(200, ask("GET", "/api/status", token=had["long"]), "one that has not")


globals()[STEP]()
