#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# NBD by TLS: QEMU and libnbd with certificates and with shared keys, what each client may have, what is refused before
# and around the handshake (nbd_over_tls.py), and that keys and rights are read again at SIGHUP.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs openssl qemu-img qemu-io nbdinfo nbdcopy python3 jq

# --- Certificates, each client's by the names that QEMU and libnbd look for.
clients=$work/clients
new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
made() { "$@" 2>"$work/openssl.log" || fail "openssl failed: $(cat "$work/openssl.log")"; }
authority() { # NAME
  made openssl req -x509 "${new_key[@]}" -keyout "$work/$1.key" -out "$work/$1.crt" -subj "/CN=$1" -days 2
}
# certificate STEM AUTHORITY NAME EXTENSIONS [DAYS]: STEM-cert.pem, STEM-key.pem
certificate() {
  made openssl req "${new_key[@]}" -keyout "$1-key.pem" -out "$work/request.pem" -subj "/CN=$3"
  made openssl x509 -req -in "$work/request.pem" -CA "$work/$2.crt" -CAkey "$work/$2.key" -CAcreateserial \
    -extfile <(echo "$4") -days "${5:-2}" -out "$1-cert.pem"
}
# client NAME [AUTHORITY [USAGE [DAYS]]]
client() {
  mkdir -p "$clients/$1"
  cp "$work/ours.crt" "$clients/$1/ca-cert.pem"
  certificate "$clients/$1/client" "${2:-ours}" "$1" "extendedKeyUsage=${3:-clientAuth}" "${4:-2}"
}
server_certificate() {
  certificate "$work/server" ours localhost $'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth'
  cp "$work/server-key.pem" "$state/tls/server.key"
  cp "$work/server-cert.pem" "$state/tls/server.crt"
}
authority ours
authority others
for name in web auditor admin byid cloner nobody we web1 Web; do client "$name"; done
client foreign others
client expired ours clientAuth -1
client server-only ours serverAuth
mkdir -p "$clients/nothing"
cp "$work/ours.crt" "$clients/nothing/ca-cert.pem"

config=$work/hindsight.toml
port=$(free_port)
rights() { # RIGHT...
  local list
  list=$(printf ', "%s"' "$@")
  printf '[nbd]\nlisten = ["unix:%s", "tcp:127.0.0.1:%s"]\npsk_file = "%s"\nclients = [%s]\n' \
    "$nbd_socket" "$port" "${psk:-}" "${list:2}" >"$config"
}
daemon=("$bin/hindsightd" --vault "$vault" --state "$state" --config "$config")

say "beyond loopback NBD wants TLS or --insecure, and TLS wants all that it is made of"
printf 'nbd.listen = ["tcp:0.0.0.0:%s"]\n' "$port" >"$config"
refused 2 'not a loopback address.*hindsight tls init' "${daemon[@]}" --check-config
printf 'nbd.tls = "require"\n' >"$config"
refused 2 'nbd.tls requires what there is not.*hindsight tls init.*ca.crt' "${daemon[@]}" --check-config
mkdir -p "$state/tls"
server_certificate
refused 2 'nbd.tls requires what there is not' "${daemon[@]}" --check-config
cp "$work/ours.key" "$state/tls/ca.crt"
refused 2 'ca.crt is no certificate' "${daemon[@]}" --check-config
cp "$work/ours.crt" "$state/tls/ca.crt"
printf 'nbd.listen = ["tcp:0.0.0.0:%s"]\nnbd.tls = "off"\n' "$port" >"$config"
refused 2 'nbd.tls is off' "${daemon[@]}" --check-config
printf 'nbd.listen = ["tcp:0.0.0.0:%s"]\n' "$port" >"$config"
"${daemon[@]}" --check-config >/dev/null || fail "with a certificate it is refused"
psk=$clients/keys.psk
echo "guest:0123" >"$psk"
rights "web live disk"
refused 2 'keys.psk:1: a key is 16 to 64 bytes' "${daemon[@]}" --check-config
key=$(openssl rand -hex 32)
key_of_nul=$(openssl rand -hex 32)
{
  echo "guest:$key"
  for name in nobody gues guest1 Guest; do echo "$name:$(openssl rand -hex 32)"; done
  printf 'nobody\0:%s\n' "$key_of_nul"
} >"$psk"
rights "web write disk"
refused 2 'nbd.clients: "web write disk" is no right' "${daemon[@]}" --check-config

# What has all rights, and is nearly what has none.
almost_nobody=()
for name in nobody1 nobod obody Nobody "nobody nobody" 'nobody\u0000' 'nobody\u00001' '\u0000nobody' '*'; do
  almost_nobody+=("$name live *" "$name views *")
done
rights "web live disk" "auditor views disk" "guest live disk" "admin live *" "admin views *" "cloner live copy"
start --config "$config"
grep -q "NBD on tcp:127.0.0.1:$port by TLS" "$daemon_log" || fail "the log does not say that NBD is by TLS"
create disk 64M
create other 8M
nbdcopy --flush <(head -c 8M /dev/urandom) "$(nbd_uri other)" || fail "nbdcopy by the unix socket in clear"
hindsight clone other --at now --as copy >/dev/null 2>&1 || fail "clone"
id=$(hindsight volume show other --json | jq -r .id)
rights "web live disk" "auditor views disk" "guest live disk" "admin live *" "admin views *" "cloner live copy" \
  "${almost_nobody[@]}" "byid live id:$id" "byid views id:$id"
after_hangup() { # PATTERN
  local i from
  from=$(wc -l <"$daemon_log")
  kill -HUP "$daemon_pid"
  for ((i = 0; i < 200; i++)); do
    if tail -n "+$((from + 1))" "$daemon_log" | grep -qE -- "$1"; then return 0; fi
    sleep 0.05
  done
  fail "after SIGHUP the log does not say /$1/"
}
after_hangup 'new connections by TLS get the keys and rights'

uri() { echo "nbds://127.0.0.1:$port/$1?tls-certificates=$clients/$2"; }
psk_uri() { echo "nbds://$2@127.0.0.1:$port/$1?tls-psk-file=$3"; }

say "URIs say that it is by TLS"
hindsight volume show disk --json | jq -e --arg uri "nbds://127.0.0.1:$port/disk" '[.. | strings] | index($uri) != null' \
  >/dev/null || fail "no nbds:// URI: $(hindsight volume show disk --json)"

say "libnbd with a certificate and with a key: what is written is what is read, whoever reads it"
head -c 64M /dev/urandom >"$work/source"
nbdcopy --flush "$work/source" "$(uri disk web)" || fail "nbdcopy by TLS"
copy_live disk "$work/back"
assert_same_bytes "$work/source" "$work/back" "written by TLS, read in clear by the unix socket"
nbdcopy --connections=4 "$(psk_uri disk guest "$psk")" "$work/back" || fail "nbdcopy by TLS with a key"
assert_same_bytes "$work/source" "$work/back" "read by TLS with a key"

say "QEMU with a certificate and with a key"
mkdir -p "$work/qemu-psk"
cp "$psk" "$work/qemu-psk/keys.psk"
by_certificate=(--object "tls-creds-x509,id=tls,endpoint=client,dir=$clients/web")
by_key=(--object "tls-creds-psk,id=tls,endpoint=client,dir=$work/qemu-psk,username=guest")
image="driver=nbd,host=127.0.0.1,port=$port,export=disk,tls-creds=tls"
for how in certificate key; do
  declare -n credentials=by_$how
  rm -f "$work/back"
  qemu-img convert "${credentials[@]}" --image-opts "$image" -O raw "$work/back" || fail "qemu-img with a $how"
  assert_same_bytes "$work/source" "$work/back" "read by qemu-img with a $how"
  head -c 64M /dev/urandom >"$work/source"
  qemu-img convert "${credentials[@]}" -n -f raw "$work/source" --target-image-opts "$image" || fail "qemu-img writes with a $how"
  qemu-io "${credentials[@]}" --image-opts "$image" -c "write -P 171 12345 100000" -c "write -z 1M 1M" -c "flush" \
    -c "read -P 171 12345 100000" -c "read -P 0 1M 1M" >"$work/qemu-io.out" 2>&1 || fail "qemu-io: $(cat "$work/qemu-io.out")"
  ! grep -iE 'fail|error' "$work/qemu-io.out" || fail "qemu-io reported the above"
  head -c 100000 /dev/zero | tr '\0' '\253' | dd of="$work/source" bs=1 seek=12345 conv=notrunc iflag=fullblock status=none
  dd if=/dev/zero of="$work/source" bs=1M seek=1 count=1 conv=notrunc status=none
  copy_live disk "$work/back"
  assert_same_bytes "$work/source" "$work/back" "written by QEMU with a $how"
done

say "whoever cannot prove who he is, or has no right, has nothing"
refused '1' 'TLS|handshake|certificate|alert|server' nbdinfo --size "$(uri disk foreign)"
refused '1' 'TLS|handshake|certificate|alert|server' nbdinfo --size "$(uri disk expired)"
refused '1' 'TLS|handshake|certificate|alert|server' nbdinfo --size "$(uri disk nothing)"
refused '1' 'TLS|tls|encrypt|policy' nbdinfo --size "nbd://127.0.0.1:$port/disk"
refused '1' 'requires TLS|TLS' qemu-img info "nbd://127.0.0.1:$port/disk"
refused '1' 'no export|unknown|available' nbdinfo --size "$(uri other web)"
refused '1' 'no export|unknown|available' nbdinfo --size "$(uri disk nobody)"
refused '1' 'no export|unknown|available' nbdinfo --size "$(uri disk auditor)"
echo "guest:$(openssl rand -hex 32)" >"$work/wrong.psk"
refused '1' 'TLS|handshake' nbdinfo --size "$(psk_uri disk guest "$work/wrong.psk")"
echo "stranger:$key" >"$work/stranger.psk"
refused '1' 'TLS|handshake' nbdinfo --size "$(psk_uri disk stranger "$work/stranger.psk")"
echo "nobody:$key_of_nul" >"$work/nul.psk"
refused '1' 'TLS|handshake' nbdinfo --size "$(psk_uri disk nobody "$work/nul.psk")"
lsn=$(lsn_of disk now)
assert_equal 67108864 "$(nbdinfo --size "$(uri "disk@lsn:$lsn" auditor)")" "the auditor's view"
nbdinfo --json "$(uri "disk@lsn:$lsn" auditor)" | jq -e '.exports[0].is_read_only' >/dev/null || fail "a view is not read-only"
refused '1' 'no export|unknown|available' nbdinfo --size "$(uri "disk@lsn:$lsn" web)"
nbdinfo --list --json "$(uri "" admin)" | jq -e '[.exports[]."export-name"] | sort == ["copy", "disk", "other"]' >/dev/null ||
  fail "the administrator's list"
for sentence in "client=web: refused 'other': nbd.clients does not give it \"web live other\"" \
  "client=web: refused 'disk@lsn:$lsn': nbd.clients does not give it \"web views disk\"" \
  "client=auditor: opened 'disk@lsn:$lsn' read-only" 'certificate has expired'; do
  grep -qE -- "$sentence" "$daemon_log" || complain "the log does not say: $sentence"
done

say "around the handshake"
python3 "$tests/nbd_over_tls.py" "$clients" "$port" "$nbd_socket" || fail "nbd_over_tls.py"
grep -qE 'TLS with the client failed: its certificate: (self-signed|unable to get)' "$daemon_log" ||
  complain "the log does not say whose certificate is a foreign authority's"
assert_live_equals_now disk

say "SIGHUP: renewed keys and rights are for new connections, and what is broken is not taken"
fingerprint() { python3 "$tests/nbd_over_tls.py" "$clients" "$port" "$nbd_socket" server; }
first=$(fingerprint)
mkfifo "$work/go"
python3 "$tests/nbd_over_tls.py" "$clients" "$port" "$nbd_socket" hold <"$work/go" >"$work/held.out" 2>&1 &
held=$!
remember_process clients "$held"
exec 9>"$work/go"
for ((i = 0; i < 200; i++)); do
  if grep -q connected "$work/held.out"; then break; fi
  sleep 0.05
done
server_certificate
after_hangup 'new connections by TLS get the keys and rights'
second=$(fingerprint)
[ "$first" != "$second" ] || fail "the renewed certificate was not taken"
echo rubbish >"$state/tls/server.crt"
after_hangup 'server.crt is no certificate'
assert_equal "$second" "$(fingerprint)" "the certificate, after a broken one"
cp "$work/server-cert.pem" "$state/tls/server.crt"
rights "nobody live disk"
after_hangup 'new connections by TLS get the keys and rights'
assert_equal 67108864 "$(nbdinfo --size "$(uri disk nobody)")" "the size, for who has the right now"
refused '1' 'no export|unknown|available' nbdinfo --size "$(uri disk web)"
kill -0 "$held" || fail "who was connected is not any more: $(cat "$work/held.out")"
echo go >&9
exec 9>&-
wait "$held" || fail "who was connected could not go on: $(cat "$work/held.out")"
assert_live_equals_now disk
stop

say "without a certificate, by keys alone"
rm -r "$state/tls"
rights "guest live disk"
start --config "$config"
assert_equal 67108864 "$(nbdinfo --size "$(psk_uri disk guest "$psk")")" "the size, by a key"
refused '1' 'TLS|handshake|certificate' nbdinfo --size "$(uri disk web)"
stop
