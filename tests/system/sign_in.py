# SPDX-License-Identifier: Apache-2.0
"""Who may do what, over HTTPS and the control socket: sign_in.py STEP PORT CA CONTROL_SOCKET KEPT_FILE [CODE]

Of an empty CA, in clear instead of HTTPS. What a step leaves for the next one lies in KEPT_FILE."""
import concurrent.futures
import http.client
import itertools
import json
import re
import socket
import ssl
import sys
import time

STEP, PORT, CA, SOCKET, KEPT = sys.argv[1:6]
PASSWORD = "correct horse battery staple"
GUESS = "not this one, surely"
TLS = ssl.create_default_context(cafile=CA) if CA else None


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


def connect(local, source):
    if local:
        return UnixConnection("localhost")
    if TLS is None:
        return http.client.HTTPConnection("127.0.0.1", PORT, source_address=(source, 0))
    return http.client.HTTPSConnection("127.0.0.1", PORT, context=TLS, source_address=(source, 0))


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.raw = response.status, response.headers, response.read()
        if self.status >= 400:
            assert self.headers["Content-Type"] == "application/problem+json", self
            assert self["status"] == self.status and self["title"] and self["detail"], self
        # No page of another origin is to read any answer.
        assert not [name for name in self.headers if name.lower().startswith("access-control-")], self.headers

    def __getitem__(self, name):
        return json.loads(self.raw)[name]

    def __repr__(self):
        return f"{self.status} {self.raw[:300]}"


def ask(method, target, body=None, token=None, local=False, source="127.0.0.1", **headers):
    connection = connect(local, source)
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


def lock_out(what, free, wrong, right):
    """Guesses until the right answer has to wait, too, after no fewer guesses than `free`. How long one takes is this
    machine's, and those that take longer than the wait are taken; the wait grows. It is over when this returns, so that
    what comes next is not refused for these guesses."""
    least = free
    while True:
        failed = 0
        while (answer := wrong()).status == 401:
            failed += 1
            assert failed < free + 15, f"{what}: {failed} guesses, and none had to wait"
        expect(429, answer, f"{what}: guess {failed + 1}")
        assert int(answer.headers["Retry-After"]) >= 1, answer.headers
        assert failed >= least, f"{what}: only {failed} guesses were free"
        least = 0
        locked = right()
        if locked.status == 429:  # else the wait had just ended
            time.sleep(int(locked.headers["Retry-After"]))
            return


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
    # The right code with a short password says that the code was taken, and does nothing.
    lock_out("the code", 5, lambda: ask("POST", "/api/setup", {"code": "22222-22222-22222", **first}, source="127.0.0.7"),
             lambda: ask("POST", "/api/setup", {"code": code, "name": "adam", "password": "short"}))
    # Two come with the code at once.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: ask("POST", "/api/setup", {"code": code, **first}), range(2)))
    assert sorted(answer.status for answer in both) == [201, 403], both
    made = min(both, key=lambda answer: answer.status)
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
    # A key is of somebody who is known: what signing in was answered, nobody gets again.
    first, second = (sign_in("adam", Idempotency_Key="once") for _ in range(2))
    expect(401, sign_in("adam", "not his password", Idempotency_Key="once"), "a wrong password with the key of a right one")
    assert expect(200, first, "one with a key").headers["Set-Cookie"] != expect(200, second, "the same").headers["Set-Cookie"]


def in_clear():
    session = Session("adam")
    flags = {flag.strip() for flag in session.set_cookie.split(";")[1:]}
    assert session.cookie.startswith("hindsight=") and flags == {"Path=/", "HttpOnly", "SameSite=Strict"}, session.set_cookie
    expect(200, session.ask("GET", "/api/users"), "its cookie")
    expect(401, ask("GET", "/api/users", Cookie="__Host-" + session.cookie), "a cookie of the name that only HTTPS has")
    made = {"name": "in.clear", "password": PASSWORD, "roles": ["viewer"]}
    expect(403, session.ask("POST", "/api/users", made, Origin="https://evil.example"), "another origin")
    expect(403, session.ask("POST", "/api/users", made, X_CSRF_Token=""), "no CSRF token")
    expect(201, session.ask("POST", "/api/users", made, Origin=f"http://127.0.0.1:{PORT}"), "our page")
    ended = expect(200, session.ask("DELETE", "/api/session"), "signing out").headers["Set-Cookie"]
    assert ended.startswith("hindsight=;") and "Max-Age=0" in ended, ended


# What each operation takes, said here once more: of these roles one is needed, and leave to see data where it says so.
ANYBODY, ANY = "anybody", {"viewer", "operator", "restorer", "admin", "process"}
NEEDS = {
    "getDescription": ANYBODY, "getHealth": ANYBODY, "getSetUp": ANYBODY, "setUp": ANYBODY, "signIn": ANYBODY,
    **dict.fromkeys(["getMetrics", "getReadiness", "getStatus", "listVolumes", "getVolume", "getPoints",
                     "getTimeline", "getDiff", "listJobs", "getEvents", "getJob", "cancelJob",
                     "listClones", "listMarks", "listClients", "listViews", "listAlerts", "listSegments", "getSession",
                     "signOut", "changePassword", "listTokens", "createToken", "revokeToken"], ANY),
    **dict.fromkeys(["createVolume", "changeVolume", "removeVolume", "removeClone", "closeView", "createMark", "verify",
                     "testAlert"], {"operator", "process"}),
    **dict.fromkeys(["resumeVolume", "rollBack", "checkPoint"], {"restorer", "process"}),
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
    print(f"    {try_all(callers)} pairs of a caller and an operation: all that is not allowed is refused")


def described():
    """Every operation, with the body that makes another one of it: by id."""
    operations = {}
    for path, methods in json.loads(ask("GET", "/api/openapi.json").raw)["paths"].items():
        for method, operation in methods.items():
            operations[operation["operationId"]] = (method.upper(), path, None)
    assert set(operations) == set(NEEDS), f"not in both: {set(operations) ^ set(NEEDS)}"
    # A volume from a point is a recovery, whatever else the operation makes.
    operations["recovery"] = ("POST", "/api/volumes", {"name": "x", "origin": {"volume": "shop", "at": "now"}})
    return operations


def refusable(path):
    """A request that is refused for what it says, but only to whom may say it."""
    return path.format(volume="shop", clone="none", view="none", user="nobody", token="none", job="0") + "?frob=1"


def status_for(name, operation_id):
    """What such a request is answered."""
    wanted = {"restorer", "process"} if operation_id == "recovery" else NEEDS[operation_id]
    if wanted == ANYBODY or name in wanted or name.split("+")[0] in wanted:
        return 400
    return 401 if name in ("nobody", "forged", "revoked", "expired") else 403


def try_all(callers):
    tried = 0
    for operation_id, (method, path, body) in described().items():
        for name, caller in callers.items():
            expect(status_for(name, operation_id), ask(method, refusable(path), body, **caller), f"{operation_id} by {name}")
            tried += 1
    return tried


def pages():
    """What a browser would send for a page of somebody else, and what our own page has to add."""
    session, other = Session("adam"), Session("adam")
    token = token_of("adam")["token"]
    foreign = {"Origin": "https://evil.example"}
    ours = {"Cookie": session.cookie, "X_CSRF_Token": session.csrf}
    callers = {
        "a session without its CSRF token": ("admin", {"Cookie": session.cookie}),
        "a session with that of another": ("admin", {**ours, "X_CSRF_Token": other.csrf}),
        "a session from another origin": ("admin", {**ours, **foreign}),
        "a token from another origin": ("admin", {"token": token, **foreign}),
        "a process from another origin": ("process", {"local": True, **foreign}),
        "nobody from another origin": ("nobody", foreign),
    }
    operations = described()
    for operation_id, (method, path, body) in operations.items():
        for name, (who, caller) in callers.items():
            # Looking goes on: no browser shows the page what it was not allowed to read.
            status = 403 if method != "GET" else status_for(who, operation_id)
            expect(status, ask(method, refusable(path), body, **caller), f"{operation_id} of {name}")
    asked = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "X-CSRF-Token", **foreign}
    for path in {path for _, path, _ in operations.values()}:
        expect(405, ask("OPTIONS", refusable(path), Cookie=session.cookie, **asked), f"a browser that asks first for {path}")
    expect(405, ask("OPTIONS", "/api/users", **asked), "one without a session")
    expect(405, ask("OPTIONS", "/api/users", local=True, **asked), "one at the control socket")
    expect(200, session.ask("GET", "/api/session"), "the session goes on")
    print(f"    {len(operations) * len(callers)} requests of other pages: none changes anything")


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
    wrong = [expect(401, sign_in(name, GUESS), "a guess") for name in ["dora", "nobody-of-that-name"]]
    assert len({answer["detail"] for answer in wrong}) == 1, "the answer tells whether there is such a user"
    lock_out("dora", 4, lambda: sign_in("dora", GUESS), lambda: sign_in("dora"))
    expect(200, sign_in("dora"), "the right password, later")
    lock_out("a name that is nobody's", 4, lambda: sign_in("nobody-of-that-name", GUESS, source="127.0.0.8"), lambda: sign_in("nobody-of-that-name"))
    names = (f"user{number}" for number in itertools.count())
    lock_out("an address", 20, lambda: sign_in(next(names), GUESS, source="127.0.0.9"), lambda: sign_in("adam", source="127.0.0.9"))
    expect(200, sign_in("adam"), "others do not wait for it")
    # Passwords are guessed elsewhere, too.
    of_viewer, of_operator = token_of("of.viewer")["token"], token_of("of.operator")["token"]

    def change(current):
        return ask("POST", "/api/password", {"current": current, "new": PASSWORD}, token=of_viewer, source="127.0.0.10")

    def new_token(password):
        return ask("POST", "/api/tokens", {"label": "more", "password": password}, token=of_operator, source="127.0.0.11")

    lock_out("the present password", 5, lambda: change(GUESS), lambda: change(PASSWORD))
    lock_out("the password for a token", 5, lambda: new_token(GUESS), lambda: new_token(PASSWORD))


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
    first_user = min(entry["lsn"] for entry in entries if entry["act"] == "setUp" and entry["status"] == 201)
    before_it = {entry["act"] for entry in entries if entry["lsn"] < first_user}
    assert "getStatus" in before_it and "getSession" not in before_it, f"who asks who he is has tried nothing: {before_it}"
    for entry in entries:
        if entry["actor"] == "root (uid 0)":
            assert entry["origin"] == "the control socket", entry
        elif entry["actor"] != "appliance":
            assert re.fullmatch(r"127\.0\.0\.\d+:\d+|the control socket|root \(uid 0\)", entry["origin"]), entry
    origins = {(entry["act"], entry["actor"], entry["status"], entry["origin"].split(":")[0]) for entry in entries}
    # Of refusals not all are recorded: these are early ones, or of somebody who is known.
    for wanted in [("setUp", "nobody", 401, "127.0.0.7"), ("setUp", "adam", 201, "127.0.0.1"), ("createMark", "carl", 201, "127.0.0.1"),
                   ("changePassword", "of.viewer", 401, "127.0.0.10"), ("createToken", "of.operator", 401, "127.0.0.11"),
                   ("createVolume", "root (uid 0)", 201, "the control socket")]:
        assert wanted in origins, f"{wanted} is not among {sorted(origins)}"
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
    print(f"    {try_all({'expired': {'token': had['token']}})} operations do not know who has it any more")
    expect(200, ask("GET", "/api/status", token=had["long"]), "one that has not")


globals()[STEP]()
