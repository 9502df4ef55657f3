#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# HTTP and HTTPS among hostile peers: what is refused, who is still served meanwhile, that a renewed certificate is taken,
# and that a daemon with all of them at its door still stops.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs openssl python3
ulimit -n "$(ulimit -H -n)"
[ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge 4096 ] || skip "needs 4096 descriptors"

certificates=$work/certificates
mkdir -p "$certificates"
new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
# authority NAME; certificate NAME AUTHORITY
authority() {
  openssl req -x509 "${new_key[@]}" -keyout "$certificates/$1.key" -out "$certificates/$1.crt" -subj "/CN=$1" -days 2 \
    2>"$work/openssl.log" || fail "openssl made no authority: $(cat "$work/openssl.log")"
}
certificate() {
  openssl req "${new_key[@]}" -keyout "$certificates/$1.key" -out "$work/request.pem" -subj "/CN=$1" 2>"$work/openssl.log" &&
    openssl x509 -req -in "$work/request.pem" -CA "$certificates/$2.crt" -CAkey "$certificates/$2.key" -CAcreateserial \
      -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") -days 2 -out "$certificates/$1.crt" 2>>"$work/openssl.log" ||
    fail "openssl made no certificate: $(cat "$work/openssl.log")"
}
authority ours
authority foreign
certificate first ours
certificate second ours

say "what cannot be served, or would travel in clear, is refused before anything is made"
config=$work/hindsight.toml
http() { printf '[http]\nlisten = "%s"\n[tls]\ncertificate = "%s"\nkey = "%s"\n' "$1" "$2" "$3" >"$config"; }
daemon=("$bin/hindsightd" --vault "$vault" --state "$state" --config "$config")
refused_start() { # PATTERN
  refused 2 "$1" "${daemon[@]}"
  refused 2 "$1" "${daemon[@]}" --check-config
  [ ! -e "$vault" ] && [ ! -e "$state" ] || complain "a refused start made directories"
}
http 127.0.0.1:0 "$certificates/first.crt" "$certificates/second.key"
refused_start 'second.key is not the key of the certificate'
http 127.0.0.1:0 "$certificates/first.crt" ""
refused_start 'tls.certificate and tls.key go together'
http 127.0.0.1:0 "$certificates/none.crt" "$certificates/first.key"
refused_start 'none.crt: No such file'
http 0.0.0.0:0 "" ""
refused_start '0.0.0.0:0 is not a loopback address.*hindsight tls init'

# port_of PATTERN: of the line that says where the daemon listens.
port_of() { grep -oE "$1" "$daemon_log" | tail -n 1 | grep -oE '[0-9]+( |$)' | tail -n 1 | tr -d ' '; }

say "on loopback, without a certificate, in clear"
http '[::1]:0' "" ""
python3 -c 'import socket; socket.create_server(("::1", 0), family=socket.AF_INET6)' 2>/dev/null || http 127.0.0.1:0 "" ""
start --config "$config"
grep -qE 'HTTP on .*\(not encrypted\)' "$daemon_log" || fail "the log does not say that HTTP is not encrypted"
url=http://$(grep -oE 'HTTP on [^ ]+' "$daemon_log" | cut -d ' ' -f 3)/healthz
python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10)' "$url" || fail "$url was not answered"
stop

say "with a certificate, among hostile peers"
cp "$certificates/first.crt" "$work/served.crt"
cp "$certificates/first.key" "$work/served.key"
http 127.0.0.1:0 "$work/served.crt" "$work/served.key"
start --config "$config"
port=$(port_of 'HTTPS on 127.0.0.1:[0-9]+')
[ -n "$port" ] || fail "the log does not say where HTTPS is"
create shop 8M
code=$(grep -oE 'with the code [2-9A-Z-]+' "$daemon_log" | tail -n 1 | cut -d ' ' -f 4)
HINDSIGHT_TOKEN=$(python3 "$tests/http_attacks.py" token "$port" "$state/control.sock" "$certificates" "$code")
export HINDSIGHT_TOKEN
python3 "$tests/http_attacks.py" attack "$port" "$state/control.sock" "$certificates" "$work/served" "$daemon_pid" "$daemon_log" ||
  fail "see above"

say "it stops while they are all there"
python3 "$tests/http_attacks.py" stay "$port" "$state/control.sock" "$certificates" "$work/crowd" &
crowd=$!
remember_process clients "$crowd"
for ((i = 0; i < 600; i++)); do
  [ ! -e "$work/crowd" ] || break
  sleep 0.05
done
[ -e "$work/crowd" ] || fail "the crowd did not come"
before=$(date +%s%N)
stop
took_ms=$((($(date +%s%N) - before) / 1000000))
echo "    within $took_ms ms"
[ "$took_ms" -lt 10000 ] || fail "the daemon took $took_ms ms to stop"
kill "$crowd" 2>/dev/null || true
