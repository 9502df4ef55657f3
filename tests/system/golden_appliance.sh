#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What an appliance of each released format recorded is told by this one as it was by that: volumes, marks, activity,
# the audit; users sign in, what is restored is the same to the byte, and writes go on behind it. See
# tests/golden/make_appliance.sh.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs nbdcopy nbdsh jq zstd
# 3: done, and there is something to know.
tells() { "$@" 2>/dev/null || [ $? = 3 ]; }
same() { # FILE, and what is told now
  diff "$golden/$1" - >"$work/difference" || fail "$1 (< then, > now): $(head -n 20 "$work/difference")"
}
password="the password of a golden vault"
export XDG_CONFIG_HOME=$work/credentials

for golden in "$tests"/../golden/*-appliance; do
  say "a vault of ${golden##*/}"
  mkdir -p "$vault"
  tar --extract --zstd --file "$golden/vault.tar.zst" -C "$vault"
  last=$(jq -r '[.[].lsn] | max' "$golden/audit.json")

  "$bin/hindsight" --vault "$vault" verify --deep >"$work/verify" 2>&1 || fail "verify --deep: $(cat "$work/verify")"
  for point in mark:whole mark:destroyed "lsn:$last"; do
    tells "$bin/hindsight" --vault "$vault" restore shop --at "$point" --to - | sha256sum | cut -d ' ' -f 1
  done | same shop.sha256

  port=$(free_port)
  start --http "127.0.0.1:$port"
  if grep -q 'no user was ever made' "$daemon_log"; then fail "the first start is open again"; fi
  tells hindsight volume list --removed --json | jq -S '[.volumes[] | {id, name, size_bytes, created, removed}]' | same volumes.json
  tells hindsight points shop --json | jq -S '{first, marks}' | same points.json
  tells hindsight timeline shop --since first --until mark:by-bob --step 1s --json | jq -S '{steps, events: [.events[] | select(.kind != "crash" or .lsn < '"$last"')]}' | same timeline.json
  tells hindsight audit --json | jq -S --argjson last "$last" '[.audit[] | select(.lsn <= $last) | {lsn, time_utc, actor, act, detail, status}]' | same audit.json

  HINDSIGHT_SERVER=http://127.0.0.1:$port "$bin/hindsight" login alice <<<"$password" >/dev/null 2>&1 || fail "alice cannot sign in"
  HINDSIGHT_SERVER=http://127.0.0.1:$port "$bin/hindsight" user list --json | jq -c '[.users[] | [.name, .roles, .sees_data]]' >"$work/users"
  assert_equal '[["alice",["admin"],false],["bob",["operator","restorer"],true]]' "$(cat "$work/users")" "users"

  say "and behind it"
  tells hindsight recover shop --at mark:whole --as anew >/dev/null
  nbdsh -u "$(nbd_uri anew)" -c 'h.pwrite(b"anew" * 1024, 0); h.flush()'
  hindsight mark anew later >/dev/null
  stop
  "$bin/hindsight" --vault "$vault" verify --deep >"$work/verify" 2>&1 || fail "verify --deep behind it: $(cat "$work/verify")"
  tells "$bin/hindsight" --vault "$vault" restore shop --at mark:destroyed --to - | sha256sum | cut -d ' ' -f 1 >"$work/again"
  assert_equal "$(sed -n 2p "$golden/shop.sha256")" "$(cat "$work/again")" "shop as it was destroyed"
  chattr -R -f -i "$vault" || true
  rm -rf "$vault" "$state"
done
