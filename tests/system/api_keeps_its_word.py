# SPDX-License-Identifier: Apache-2.0
"""Holds the REST API to its OpenAPI document:
api_keeps_its_word.py CONTROL_SOCKET VAULT BLANK_BACKING_FILE CODE NBD_SOCKET"""
import http.client
import json
import os
import re
import socket
import sys
import time

import jsonschema
import nbd

SOCKET, VAULT, BACKING, CODE, NBD_SOCKET = sys.argv[1:]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
signed_in = {}  # the header's fields that say who asks, once there is a user


class UnixConnection(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("localhost", timeout=60)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(SOCKET)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.media_type = response.headers.get("Content-Type", "")
        self.raw = response.read()

    def document(self):
        return json.loads(self.raw)


def ask(method, target, body=None, raw=None, media_type="application/json", who=None, key=None):
    connection = UnixConnection()
    data = raw if raw is not None else None if body is None else json.dumps(body)
    headers = dict(signed_in if who is None else who)
    if key is not None:
        headers["Idempotency-Key"] = key
    if data is not None:
        headers["Content-Type"] = media_type
    try:
        connection.request(method, target, body=data, headers=headers)
    except BrokenPipeError:
        pass  # of a request that is refused before it is sent; the answer is there
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def closed(schema):
    """The same schema without room for what it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tight = {key: closed(value) for key, value in schema.items()}
    if tight.get("type") == "object":
        tight["additionalProperties"] = False
    return tight


description = ask("GET", "/api/openapi.json").document()
components = closed(description["components"])
operations = {}  # by id: (method, path, operation)
for path, methods in description["paths"].items():
    for method, operation in methods.items():
        assert operation["operationId"] not in operations, operation["operationId"]
        operations[operation["operationId"]] = (method.upper(), path, operation)


def check(value, schema, what):
    whole = dict(closed(schema), components=components)
    validator = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())
    for error in validator.iter_errors(value):
        sys.exit(f"{what}: {error.message} at {list(error.absolute_path)}")


def content_of(operation, status):
    responses = operation["responses"]
    return responses.get(str(status), responses["default"])["content"]


def check_answer(what, operation, answer):
    content = content_of(operation, answer.status)
    media_type = answer.media_type.split(";")[0]
    assert media_type in content, f"{what}: {answer.status} {media_type}, not {list(content)}"
    if media_type.endswith("json"):
        check(answer.document(), content[media_type]["schema"], f"{what} answered {answer.status}")


done = set()
acts = {}  # of the audit, by the requests' ids: (act, actor, status)
others = set()  # requests that the audit is not to have

# What their answers end, too: the session or token that would ask for them again.
END_THEMSELVES = {"signOut", "changePassword"}


def is_act(operation_id):
    return operations[operation_id][0] != "GET" or operation_id == "getImage"


def note(operation_id, answer, who):
    entry = (operation_id, name_of(who), answer.status)
    if is_act(operation_id):
        acts[answer.headers["X-Request-Id"]] = entry
    else:
        others.add(answer.headers["X-Request-Id"])


def call(operation_id, query="", body=None, who=None, **names):
    """A request that is to succeed; where it may have a key, twice, of which the second does nothing."""
    method, path, operation = operations[operation_id]
    target = path.format(**names) + query
    key = f"{operation_id} {len(acts)}" if any(p["in"] == "header" for p in operation["parameters"]) else None
    answer = ask(method, target, body, who=who, key=key)
    assert str(answer.status) in operation["responses"], f"{operation_id}: {answer.status} {answer.raw}"
    check_answer(operation_id, operation, answer)
    note(operation_id, answer, who)
    if key is not None:
        again = ask(method, target, body, who=who, key=key)
        if operation_id in END_THEMSELVES:
            assert again.status == 401, f"{operation_id} again: {again.status} {again.raw}"
        else:
            assert (again.status, again.raw) == (answer.status, answer.raw), f"{operation_id} again: {again.status} {again.raw}"
            others.add(again.headers["X-Request-Id"])
    done.add(operation_id)
    return answer.document() if answer.media_type == "application/json" else answer.raw


# --- The document itself ---------------------------------------------------------------------------------------------

for name, schema in description["components"]["schemas"].items():
    jsonschema.Draft202012Validator.check_schema(schema)


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


used = set(references(description))
declared = {"#/components/schemas/" + name for name in description["components"]["schemas"]}
assert used == declared, f"schemas without use, or uses without one: {used ^ declared}"
for operation_id, (method, path, operation) in operations.items():
    names = [parameter["name"] for parameter in operation["parameters"]]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    names += list(body.get("properties", {}))
    assert len(set(names)) == len(names), f"{operation_id} has two parameters of one name"
    assert all(f"{{{p['name']}}}" in path for p in operation["parameters"] if p["in"] == "path"), operation_id
    kinds = {p["name"]: p["schema"]["type"] for p in operation["parameters"] if p["in"] == "path"}
    assert kinds == {name: "integer" if name == "job" else "string" for name in re.findall(r"{(\w+)}", path)}, (operation_id, kinds)
    keys = [p for p in operation["parameters"] if p["in"] == "header"]
    takes_key = method != "GET" and operation_id not in ("setUp", "signIn")  # to these, nobody is known yet
    assert [p["name"] for p in keys] == ["Idempotency-Key"] * takes_key, operation_id

# --- Every operation, as it is meant ---------------------------------------------------------------------------------

PASSWORD = "correct horse battery staple"
PROCESS = ask("GET", "/api/session").document()["user"]
names = {}  # of users, by the header's fields that say so


def name_of(who):
    fields = signed_in if who is None else who
    return names.get(next(iter(fields.values())), "?") if fields else PROCESS


call("getDescription")
call("getSession")
assert call("getSetUp") == {"first_start": True}
call("setUp", body={"code": CODE, "name": "adam", "password": PASSWORD})


def begin_session(name):
    method, path, operation = operations["signIn"]
    answer = ask(method, path, {"name": name, "password": PASSWORD})
    check_answer("signIn", operation, answer)
    note("signIn", answer, None)
    done.add("signIn")
    cookie = answer.headers["Set-Cookie"].split(";")[0]
    names[cookie] = name
    return {"Cookie": cookie, "X-CSRF-Token": answer.document()["csrf_token"]}


session = begin_session("adam")
call("changeUser", user="adam", who=session, body={"roles": ["operator", "restorer", "admin"], "sees_data": True})
made = call("createToken", "?tz=Europe/Berlin", who=session, body={"label": "all that there is", "days": 2})
session_token = "Bearer " + made["token"]
names[session_token] = "adam"
# A token is told to who made it, and to nobody who comes with his key, though it be the same user.
secret = {"label": "told once"}
told = ask("POST", "/api/tokens", secret, who=session, key="a secret")
assert told.status == 201 and ask("POST", "/api/tokens", secret, who=session, key="a secret").raw == told.raw
overheard = ask("POST", "/api/tokens", secret, who={"Authorization": session_token}, key="a secret")
assert overheard.status == 400 and told.document()["token"] not in overheard.raw.decode(), overheard.raw
call("signOut", who=session)
signed_in = {"Authorization": session_token}
call("getSession")
call("createUser", body={"name": "bertha", "password": PASSWORD, "roles": ["viewer"]})
call("listUsers", "?tz=Asia/Shanghai")
call("removeUser", user="bertha")
call("createUser", body={"name": "carla", "password": PASSWORD, "roles": ["viewer"], "sees_data": True})
call("changePassword", who=begin_session("carla"), body={"current": PASSWORD, "new": PASSWORD + PASSWORD})
call("createToken", body={"label": "to be ended", "roles": ["viewer"], "sees_data": False})
call("listTokens")
call("revokeToken", token=[t["id"] for t in call("listTokens")["tokens"] if t["label"] == "to be ended"][0])
call("getAudit")
call("getAudit", "?limit=2&before=" + str(call("getAudit", "?limit=2")["before"]))

call("createVolume", body={"name": "shop", "size_bytes": 8 << 20})
# What only looks takes no key, and leaves none behind.
for target in "/api/volumes/shop", "/api/volumes/shop/image?at=now":
    looks = [ask("GET", target, key="a look") for _ in range(2)]
    assert [each.status for each in looks] == [200, 200] and looks[0].raw and looks[1].raw, target
for target in "/api/volumes/none", "/api/volumes/none/image?at=now":
    assert ask("GET", target, key="a look").status == 404, target
assert ask("POST", "/api/marks", {"label": "by a look's key", "volume": "shop"}, key="a look").status == 201
assert ask("POST", "/api/marks", {"label": "another one", "volume": "shop"}, key="a look").status == 400
assert ask("POST", "/api/marks", {"label": "another one", "volume": "shop"}, key="k" * 256).status == 400
call("createVolume", body={"name": "handed", "size_bytes": 8 << 20, "backing": BACKING})
call("createMark", body={"label": "begin", "volume": "shop"})
call("createMark", "?tz=Asia/Shanghai", body={"label": "all at once", "all": True})
call("changeVolume", volume="shop", body={"size_bytes": 16 << 20})
call("changeVolume", volume="handed", body={"name": "over"})
call("createVolume", body={"name": "shop2", "origin": {"volume": "shop", "at": "mark:begin"}})
call("createClone", body={"volume": "shop", "at": "now", "name": "try"})
call("listClones")
view = call("createView", "?tz=Europe/Berlin", body={"volume": "shop", "at": "mark:begin"})
assert call("listViews") == {"views": []} and call("listClients") == {"clients": []}
clients = {}
for export in "shop", "try", f"shop@lsn:{view['point']['lsn']}":
    clients[export] = nbd.NBD()
    clients[export].connect_uri(f"nbd+unix:///{export}?socket={NBD_SOCKET}")


def connected_to(volume=None):
    """What listClients tells, but for when they came."""
    connected = call("listClients", f"?volume={volume}" if volume else "")["clients"]
    return [{key: value for key, value in each.items() if key != "since"} for each in connected]


connected = connected_to("shop")
assert {(each["export"], each["kind"], each["read_only"]) for each in connected} == {
    ("shop", "volume", False), ("try", "clone", False), (f"shop@lsn:{view['point']['lsn']}", "view", True)}, connected
assert all(each["volume"] == "shop" and f"pid={os.getpid()}" in each["peer"] for each in connected), connected
assert connected_to("shop2") == [] and connected_to() == connected
[shown] = call("listViews", "?tz=Asia/Shanghai")["views"]
assert (shown["lsn"], shown["clients"], shown["volume"]) == (view["point"]["lsn"], 1, "shop"), shown
call("closeView", view=shown["id"])
assert call("listViews") == {"views": []}, "the view has been closed"
assert {each["kind"] for each in connected_to()} == {"volume", "clone"}
clients.clear()
call("getVolume", volume="shop")
shop = call("getVolume", "?tz=UTC", volume="shop")
call("getVolume", volume="id:" + shop["id"])
call("getPoints", volume="shop")
call("getPoints", "?at=now", volume="shop")
call("getPoints", "?at=mark:begin", volume="shop")
call("getPoints", "?at=" + shop["created"]["time_utc"], volume="shop")
call("getDiff", "?from=mark:begin&to=now", volume="shop")
call("getDiff", "?from=mark:begin&to=now&limit=1", volume="shop")
call("getTimeline", volume="shop")
call("getTimeline", "?since=mark:begin&until=now&step=1", volume="shop")
call("getTimeline", "?since=first&step=86400", volume="shop")
assert call("getImage", "?at=now&by_offset=true", volume="shop")
call("rollBack", body={"volumes": ["shop", "handed"], "at": "mark:all at once", "dry_run": True})
call("rollBack", body={"volumes": ["shop"], "at": "mark:begin", "disconnect": True})
assert call("getVolume", volume="shop")["writers_refused"]
call("resumeVolume", volume="shop")
call("listMarks")
for body in {}, {"deep": True}:
    job = call("verify", body=body)
    while job["state"] == "running":
        time.sleep(0.05)
        job = call("getJob", job=job["id"])
    assert job["state"] == "done" and job["verification"]["ok"], job
call("listJobs")
assert call("listSegments")["segments"][0]["state"] == "open"
assert call("listSegments", "?before=1&limit=1") == {"segments": []}
call("listAlerts", "?tz=Europe/Berlin")
check_job = call("checkPoint", "?tz=Asia/Shanghai", volume="shop", body={"at": "mark:begin"})
assert check_job["kind"] == "check" and "check" not in check_job, check_job
while check_job["state"] == "running":
    time.sleep(0.05)
    check_job = call("getJob", "?tz=Asia/Shanghai", job=check_job["id"])
assert check_job["state"] == "done" and check_job["check"]["nothing_known"], check_job
assert check_job["check"]["point"]["time"].endswith("+08:00"), check_job
# It has no end: tests/system/events reads some of it.
connection = UnixConnection()
connection.request("GET", "/api/events", headers=signed_in)
response = connection.getresponse()
assert response.status == 200 and response.headers["Content-Type"] == "text/event-stream", response.status
fields = {}
while "data" not in fields:
    name, _, value = response.readline().decode().rstrip("\n").partition(": ")
    fields[name] = value
assert fields["event"] == "volume", fields
check(json.loads(fields["data"]), {"$ref": "#/components/schemas/Volume"}, "the event volume")
connection.close()
done.add("getEvents")
assert [each["id"] for each in call("listJobs", f"?limit=1&before={job['id']}")["jobs"]] == [job["id"] - 1]
late = ask("DELETE", f"/api/jobs/{job['id']}")
assert late.status == 409, late.raw  # it has ended; tests/system/jobs cancels some
note("cancelJob", late, None)
done.add("cancelJob")
call("removeClone", clone="try")
call("removeVolume", volume="over")
call("listVolumes")
call("listVolumes", "?removed=true")


def pages_of(operation_id, member, cursor, query=""):
    """All of a list, one by one."""
    seen, after = [], ""
    while True:
        page = call(operation_id, f"?limit=1{query}{after}")
        assert len(page[member]) <= 1, page
        seen += page[member]
        if "after" not in page:
            return seen
        assert page["after"] == seen[-1][cursor], page
        after = f"&after={page['after']}"


assert pages_of("listVolumes", "volumes", "name", "&removed=true") == call("listVolumes", "?removed=true")["volumes"]
assert pages_of("listMarks", "marks", "lsn") == call("listMarks")["marks"] and len(call("listMarks")["marks"]) > 1
call("getStatus", "?tz=Europe/Berlin")
call("getMetrics")
call("getHealth")
call("getReadiness")
# Nobody is to be told here; tests/system/alerts has a webhook.
refused_test = ask("POST", "/api/alerts/test")
assert refused_test.status == 400 and "alerts.webhook" in refused_test.document()["detail"], refused_test.raw
note("testAlert", refused_test, None)
done.add("testAlert")
assert done == set(operations), f"not tried: {set(operations) - done}"
print(f"    {len(operations)} operations answer as they say")

# --- The audit of that -----------------------------------------------------------------------------------------------

recorded = {}
for entry in call("getAudit", "?limit=10000")["audit"]:
    # Of who showed what is no good, only the process is known.
    assert entry["origin"] == (PROCESS if entry["actor"] == "nobody" else "the control socket"), entry
    recorded.setdefault(json.loads(entry["detail"])["request"], []).append((entry["act"], entry["actor"], entry["status"]))
assert {act for act, _, _ in acts.values()} == {each for each in operations if is_act(each)}
for request, act in acts.items():
    assert recorded.get(request) == [act], f"the audit has {recorded.get(request)} of {act}"
assert not others & set(recorded), f"no acts: {[recorded[request] for request in others & set(recorded)]}"
print(f"    {len(acts)} acts have one entry each in the audit, their {len(others)} repetitions and looks have none")

# --- What the document does not allow --------------------------------------------------------------------------------

WRONG = [None, True, 7, -1, 1.5, 1e30, "", "text", [], ["text"], {}, {"volume": "shop"}]


def state():
    status = call("getStatus")
    for volume in status["volumes"]:
        for key in ("checkpoint_lsn", "dirty_bytes", "last_lsn", "lag_ns", "hydration", "state"):
            volume.pop(key, None)
    return status["volumes"], call("listMarks"), call("listClones"), call("listUsers"), call("listTokens")


def files():
    """Of the appliance, but for what the journal and its index make by themselves."""
    found = set()
    for root in os.path.dirname(SOCKET), VAULT:
        for directory, directories, names in os.walk(root):
            if directory == VAULT:
                directories[:] = [name for name in directories if name not in ("segments", "index")]
            found.update(os.path.join(directory, name) for name in directories + names)
    return found


before = state()
refused = 0


def refuse(what, expected, method, target, **request):
    global refused
    answer = ask(method, target, **request)
    statuses = expected if isinstance(expected, tuple) else (expected,)
    assert answer.status in statuses, f"{what}: {answer.status} and not {expected}: {answer.raw[:300]}"
    assert answer.media_type == "application/problem+json", f"{what}: {answer.media_type}"
    problem = answer.document()
    check(problem, {"$ref": "#/components/schemas/Problem"}, what)
    assert problem["status"] == answer.status and problem["title"] and len(problem["detail"]) > 15, f"{what}: {problem}"
    refused += 1
    return answer


def allows(schema, value):
    return jsonschema.Draft202012Validator(dict(schema, components=components)).is_valid(value)


# A value that fits, so that one thing at a time is wrong.
def fitting(name, schema):
    kind = schema["type"]
    if kind == "object":
        return {"volume": "shop", "at": "now"}
    if "examples" in schema:
        return "now"
    return {"integer": 4096, "boolean": False, "array": ["shop"]}.get(kind, "shop")


TOO_LONG = b" " * ((1 << 20) + 1)
files_before = files()

for operation_id, (method, path, operation) in operations.items():
    target = path.format(volume="shop", clone="none", view="none", user="none", token="none", job="0")
    query = {p["name"]: p for p in operation["parameters"] if p["in"] == "query"}
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    fields = schema.get("properties", {})
    good_query = {n: fitting(n, p["schema"]) for n, p in query.items() if p["required"]}
    good_body = {n: fitting(n, fields[n]) for n in schema.get("required", [])}

    def at(values):
        return target + "?" + "&".join(f"{n}={v}" for n, v in values.items())

    refuse(f"{operation_id} with an unknown query", 400, method, at({**good_query, "frob": "1"}), body=good_body or None)
    for name, parameter in query.items():
        if parameter["required"]:
            without = {n: v for n, v in good_query.items() if n != name}
            refuse(f"{operation_id} without {name}", 400, method, at(without))
        if parameter["schema"]["type"] in ("boolean", "integer") or "examples" in parameter["schema"] or name == "tz":
            refuse(f"{operation_id} with {name}=yesteryear", 400, method, at({**good_query, name: "yesteryear"}))

    refuse(f"{operation_id} with an unknown member", 400, method, at(good_query), body={**good_body, "frob": 1})
    refuse(f"{operation_id} with a list", 400, method, at(good_query), body=[good_body])
    refuse(f"{operation_id} with broken JSON", 400, method, at(good_query), raw='{"name": ')
    refuse(f"{operation_id} with deep JSON", 400, method, at(good_query), raw="[" * 100000 + "]" * 100000)
    refuse(f"{operation_id} with another media type", 415, method, at(good_query), raw="a=b",
           media_type="application/x-www-form-urlencoded")
    refuse(f"{operation_id} with a body of 1 MiB and a byte", 413, method, at(good_query), raw=TOO_LONG)
    for name, field in fields.items():
        if name in schema.get("required", []):
            without = {n: v for n, v in good_body.items() if n != name}
            refuse(f"{operation_id} without {name}", 400, method, at(good_query), body=without)
        for value in WRONG:
            if not allows(field, value):
                refuse(f"{operation_id} with {name}: {value}", 400, method, at(good_query),
                       body={**good_body, name: value})

for path in description["paths"]:
    target = path.format(volume="shop", clone="none", view="none", user="none", token="none", job="0")
    known = {m.upper() for m in description["paths"][path]}
    for method in METHODS:
        if method not in known:
            answer = refuse(f"{method} {path}", 405, method, target)
            assert set(answer.headers["Allow"].split(", ")) == known, answer.headers["Allow"]
    if "GET" not in known:
        head = ask("HEAD", target)
        assert (head.status, head.raw, set(head.headers["Allow"].split(", "))) == (405, b"", known), (target, head.status)
        refused += 1
    for wrong in (target + "/frob/frob", target + "//frob", "/frob" + target):
        refuse(f"GET {wrong}", 404, "GET", wrong)
for wrong in ("/", "/api", "/api/../api/status", "/api/%2e%2e/status", "/api/volumes/%00", "/api/volumes/" + "x" * 8000):
    refuse(f"GET {wrong[:60]}", 404, "GET", wrong)
for wrong in ("..%2f..%2fetc%2fpasswd", "%00", "x" * 8000, "a%2f..%2fshop", "%ff", "%c0%af"):
    refuse(f"the points of {wrong[:60]}", 400, "GET", f"/api/volumes/{wrong}/points")
for wrong in ("/api/%ff", "/api/volumes?%ff=1", "/api/volumes?tz=%ed%a0%80"):
    refuse(f"GET {wrong}", 400, "GET", wrong)
for wrong in "never", "-1", "+1", "1e0", "1.0", "0x1", "%201", "1%00", "18446744073709551617":
    for method in "GET", "DELETE":
        refuse(f"{method} of the job {wrong}", 404, method, f"/api/jobs/{wrong}")

# Names that are paths, or begin like what no name is: in bodies, and in paths, of every operation that takes one.
TRICKS = ["..", ".", "../x", "/etc/passwd", "a/../b", "a\0b", "%2e%2e", "id:00000000-0000-0000-0000-000000000000", "x\n", "\nx", "", " "]
for trick in TRICKS:
    for operation_id, names_of_body in {
        "createVolume": {"size_bytes": 8 << 20},
        "changeVolume": {},
        "createClone": {"volume": "shop", "at": "now"},
        "createUser": {"password": PASSWORD, "roles": ["viewer"]},
    }.items():
        method, path, _ = operations[operation_id]
        refuse(f"{operation_id} of the name {trick!r}", 400, method, path.format(volume="shop"), body={"name": trick, **names_of_body})
    recovery = {"name": trick, "origin": {"volume": "shop", "at": "now"}}
    refuse(f"a recovery of the name {trick!r}", 400, "POST", "/api/volumes", body=recovery)
    for target, body in {
        "/api/marks": {"label": "x", "volume": trick},
        "/api/views": {"volume": trick, "at": "now"},
        "/api/clones": {"volume": trick, "at": "now", "name": "x"},
        "/api/rollbacks": {"volumes": ["shop", trick], "at": "now"},
        "/api/volumes": {"name": "x", "origin": {"volume": trick, "at": "now"}},
    }.items():
        refuse(f"{target} of the volume {trick!r}", (400, 404), "POST", target, body=body)
    encoded = "".join(f"%{byte:02x}" for byte in trick.encode())
    for operation_id, (method, path, operation) in operations.items():
        for name in re.findall(r"{(volume|clone|user|token)}", path):
            required = {p["name"]: "now" for p in operation["parameters"] if p["in"] == "query" and p["required"]}
            target = path.format(**{name: encoded}) + "?" + "&".join(f"{n}={v}" for n, v in required.items())
            body = {"changeVolume": {"name": "other"}, "changeUser": {"roles": ["viewer"]}, "checkPoint": {"at": "now"}}.get(operation_id)
            refuse(f"{operation_id} of the {name} {trick!r}", (400, 404), method, target, body=body)
for target in ("/api/tokens/%00", "/api/users/..%2f", "/api/clones/..%2f..%2fVAULT", "/api/clones/" + "x" * 8000, "/api/tokens/" + "x" * 8000):
    refuse(f"DELETE {target[:60]}", 404, "DELETE", target)
assert files() == files_before, f"refused requests made or removed {files() ^ files_before}"
refuse("a body of 2 MiB", 413, "POST", "/api/volumes", raw=b"x" * (2 << 20))
refuse("a header of 20 KB", 431, "GET", "/api/status?tz=" + "x" * 20000)

# Two messages in one, or none at all: refused, and what follows is not read.
CRLF = "\r\n"
for what, lines in {
    "two lengths": ["POST /api/marks HTTP/1.1", "Host: x", "Content-Length: 2", "Content-Length: 3"],
    "a length and chunks": ["POST /api/marks HTTP/1.1", "Host: x", "Content-Length: 2", "Transfer-Encoding: chunked"],
    "a negative length": ["POST /api/marks HTTP/1.1", "Host: x", "Content-Length: -2"],
    "a folded length": ["POST /api/marks HTTP/1.1", "Host: x", "Content-Length : 2"],
    "another protocol": ["GET /api/status GOPHER/7"],
    "bytes": ["\0\1\2\3"],
}.items():
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        peer.connect(SOCKET)
        inner = 'POST /api/marks HTTP/1.1' + CRLF + 'Host: x' + CRLF + 'Content-Length: 29' + CRLF * 2
        peer.sendall((CRLF.join(lines) + CRLF * 2 + '{}' + inner + '{"label":"smuggled","all":true}').encode())
        reply = b""
        while chunk := peer.recv(65536):
            reply += chunk
    assert reply.startswith(b"HTTP/1.1 400") and reply.count(b"HTTP/1.1 ") == 1, f"{what}: {reply[:200]}"
    head, problem = reply.decode().split(CRLF * 2, 1)
    assert "Content-Type: application/problem+json" in head.split(CRLF) and json.loads(problem)["status"] == 400, f"{what}: {reply[:300]}"
    refused += 1

# HEAD is GET without the body.
answer, head = ask("GET", "/api/volumes"), ask("HEAD", "/api/volumes")
assert head.status == 200 and head.raw == b"" and head.headers["Content-Length"] == str(len(answer.raw))
assert ask("HEAD", "/api/volumes/none").status == 404
assert ask("HEAD", "/api/volumes/shop/image?at=now").raw == b""

after = state()
assert before == after, f"a refused request changed something:\n{before}\n{after}"
print(f"    {refused} requests that it does not allow were refused, and changed nothing")
