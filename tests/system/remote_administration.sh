#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the README says of remote administration, as it says it, with two users: the first start, signing in from
# elsewhere, rights, tokens, the audit, signing out.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs jq

export HOME=$work/home XDG_CONFIG_HOME=$work/home/.config
mkdir -p "$HOME"
mkdir -p "$state"
port=$(free_port)
local_server=$HINDSIGHT_SERVER
remote=https://127.0.0.1:$port
alice="a password of the first one"
bob="a password of the other one"

hindsight tls init --directory "$state/tls" --name localhost --name 127.0.0.1 >/dev/null
start --http "127.0.0.1:$port"
create shop 8M
code=$(grep -oE 'with the code [2-9A-Z-]+' "$daemon_log" | cut -d ' ' -f 4)
say "the first user"
set_up() { "$bin/hindsight" setup "$1" --code "$2" <<<"$alice"; }
export -f set_up
export bin alice
refused 1 "code is wrong" bash -c "set_up alice AAAAA-AAAAA-AAAAA"
hindsight setup alice --code "$code" <<<"$alice"
refused 1 "has been set up" bash -c "set_up eve $code"

say "from elsewhere"
cp "$state/tls/ca.crt" "$work/ca.crt"
export HINDSIGHT_SERVER=$remote
refused 1 "not trusted|--ca" "$bin/hindsight" status
refused 1 "sign in|login" "$bin/hindsight" --ca "$work/ca.crt" status
status=0
hindsight login alice --ca "$work/ca.crt" <<<"not her password" 2>"$work/err" || status=$?
assert_equal 1 "$status" "exit of a login with a wrong password"
grep -q "name or the password is wrong" "$work/err" || fail "it says: $(cat "$work/err")"
hindsight login alice --ca "$work/ca.crt" <<<"$alice"
assert_equal 600 "$(stat -c %a "$XDG_CONFIG_HOME/hindsight/credentials.json")" "mode of the credentials"
assert_equal alice "$(hindsight whoami --json | jq -r .user)" "who signs in"
hindsight status >/dev/null || [ $? = 3 ] || fail "an administrator sees the state"
refused 1 "role operator" "$bin/hindsight" mark shop by-alice
refused 1 "role admin" "$bin/hindsight" --server "$local_server" user list

say "a second user, who does the work"
hindsight user create bob --role operator --role restorer --sees-data <<<"$bob"
hindsight user list | grep -qE '^bob +operator, restorer' || fail "the list of users: $(hindsight user list)"
token=$(hindsight token create nightly-report --role viewer)
status=0
long=$(printf '%s\n' "$alice" | hindsight token create audit --days 90 --json 2>/dev/null | jq -r .token) || status=$?
[ "$status" = 0 ] && [ "${long#hindsight_}" != "$long" ] || fail "a token that outlives the login, with the password"
HINDSIGHT_TOKEN=$token hindsight volume list | grep -q shop || fail "a viewer's token lists volumes"
HINDSIGHT_TOKEN=$token refused 1 "role admin" "$bin/hindsight" user list
hindsight logout
refused 1 "sign in|login" "$bin/hindsight" status
hindsight login bob <<<"$bob"
hindsight mark shop by-bob >/dev/null
assert_equal bob "$(hindsight --server "$local_server" points shop --json 2>/dev/null | jq -r '.marks[0].author')" "whose mark it is"
hindsight restore shop --at mark:by-bob --to "$work/shop.img" >/dev/null 2>&1 || fail "a restorer who sees data restores over HTTPS"
assert_equal 8388608 "$(stat -c %s "$work/shop.img")" "size of the image"
hindsight rollback shop --at mark:by-bob --yes >/dev/null 2>&1 || fail "a restorer rolls back"
refused 1 "role admin" "$bin/hindsight" audit

say "the audit, and one who is removed"
hindsight login alice <<<"$alice" 2>/dev/null
hindsight audit --json 2>/dev/null | jq -e '.audit | any(.act == "rollBack" and .actor == "bob" and .status == 200)' >/dev/null ||
  fail "the audit lacks bob's rollback"
hindsight audit | grep -q "rollBack" || fail "the audit as a table"
bobs=$(hindsight token list --json | jq -r '.tokens[] | select(.user == "bob") | .id')
hindsight user remove bob >/dev/null
! hindsight token list --json | jq -e --arg id "$bobs" '.tokens | any(.id == $id)' >/dev/null || fail "a token of one who was removed"
printf '%s\n%s\n' "$alice" "another password of hers" | hindsight user password || fail "changing one's own password"
hindsight logout
stop
