#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `hindsight tls` makes is what OpenSSL, QEMU and libnbd take for a server's and a client's certificate, and
# nothing else; a renewal changes the server's certificate alone.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs openssl qemu-nbd qemu-img nbdinfo

ca=$work/tls
hindsight_tls() { "$bin/hindsight" tls "$@" --directory "$ca" 2>>"$work/said"; }
verified() { # PURPOSE CERTIFICATE
  openssl verify -x509_strict -purpose "$1" -CAfile "$ca/ca.crt" "$2" >"$work/verified" 2>&1
}

say "openssl takes each certificate for its purpose, and for no other"
hindsight_tls init --name vault.example --name 192.0.2.7 >"$work/init" || fail "tls init: $(cat "$work/said")"
hindsight_tls client db1 >/dev/null || fail "tls client: $(cat "$work/said")"
client=$ca/clients/db1
verified sslserver "$ca/server.crt" || fail "the server's: $(cat "$work/verified")"
verified sslclient "$client/client-cert.pem" || fail "the client's: $(cat "$work/verified")"
! verified sslclient "$ca/server.crt" || complain "a server's certificate passes for a client's"
! verified sslserver "$client/client-cert.pem" || complain "a client's certificate passes for a server's"
for name in vault.example 192.0.2.7 localhost 127.0.0.1 ::1; do
  kind=-verify_hostname
  [[ $name =~ ^[0-9:.]+$ ]] && kind=-verify_ip
  openssl verify "$kind" "$name" -CAfile "$ca/ca.crt" "$ca/server.crt" >/dev/null || complain "not for $name"
done
openssl x509 -in "$ca/ca.crt" -noout -fingerprint -sha256 | grep -qiF "$(awk '/^its SHA-256/ { print $3 }' "$work/init")" ||
  complain "the fingerprint that was printed is not the CA's"
for key in "$ca/ca.key" "$ca/server.key" "$client/client-key.pem"; do
  assert_equal 600 "$(stat -c %a "$key")" "mode of $key"
done

say "a renewal keeps the CA, and what clients have goes on"
sha256sum "$ca/ca.crt" "$ca/ca.key" "$ca/server.key" "$client"/* >"$work/kept"
before=$(openssl x509 -in "$ca/server.crt" -noout -serial)
hindsight_tls init >/dev/null || fail "tls init again: $(cat "$work/said")"
sha256sum --quiet -c "$work/kept" || complain "more than the certificate has changed"
[ "$before" != "$(openssl x509 -in "$ca/server.crt" -noout -serial)" ] || complain "the certificate is the old one"
openssl verify -verify_hostname vault.example -CAfile "$ca/ca.crt" "$ca/server.crt" >/dev/null ||
  complain "the names of the first time are gone"

say "QEMU and libnbd speak with them"
mkdir "$work/server"
cp "$ca/ca.crt" "$work/server/ca-cert.pem"
cp "$ca/server.crt" "$work/server/server-cert.pem"
cp "$ca/server.key" "$work/server/server-key.pem"
truncate -s 1M "$work/disk"
port=$(free_port)
qemu-nbd --object "tls-creds-x509,id=tls,dir=$work/server,endpoint=server,verify-peer=yes" --tls-creds tls -f raw \
  -b 127.0.0.1 -p "$port" -t -x disk "$work/disk" &
server_pid=$!
for _ in $(seq 100); do
  nbdinfo --size "nbds://localhost:$port/disk?tls-certificates=$client" >"$work/size" 2>"$work/said" && break
  sleep 0.1
done
assert_equal 1048576 "$(cat "$work/size")" "size by libnbd ($(cat "$work/said"))"
qemu-img info --object "tls-creds-x509,id=tls,dir=$client,endpoint=client" \
  --image-opts "driver=nbd,host=localhost,port=$port,export=disk,tls-creds=tls" >/dev/null || complain "QEMU does not connect"
"$bin/hindsight" tls init --directory "$work/other" >/dev/null 2>&1
"$bin/hindsight" tls client db1 --directory "$work/other" >/dev/null 2>&1
cp "$ca/ca.crt" "$work/other/clients/db1/ca-cert.pem"
! nbdinfo --size "nbds://localhost:$port/disk?tls-certificates=$work/other/clients/db1" >/dev/null 2>&1 ||
  complain "a client of another CA is let in"
kill "$server_pid"
wait "$server_pid" || true
