#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The configuration as an administrator meets it: what is printed is sound, what is wrong is named by its line, SIGHUP
# applies what it can, and no operator leads the daemon outside of allowed_paths.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
needs_root "attach loop devices"
needs jq losetup mkfs.ext4

config=$work/hindsight.toml
daemon=("$bin/hindsightd" --vault "$work/v" --state "$work/s")
nothing_made() { [ ! -e "$work/v" ] && [ ! -e "$work/s" ] || complain "$1 made directories"; }

say "what --print-config writes is sound, and names every option that is no command"
"$bin/hindsightd" --print-config >"$config"
"$bin/hindsightd" --config "$config" --check-config >"$work/check.out" || fail "its own configuration is refused"
for option in $("$bin/hindsightd" --help | grep -oE '^ +(-., ?)?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
  case $option in --help | --version | --config | --print-config | --check-config) continue ;; esac
  grep -qE -- "^# HINDSIGHTD_[A-Z_]+ or .*$option" "$config" || complain "$option stands in --help, not in --print-config"
done

say "what is wrong is named by file and line, with the nearest key, before anything is made"
printf '[journal]\nsegment_sise = "64M"\n' >"$config"
refused 2 "$config:2: .*journal.segment_size is one" "${daemon[@]}" --config "$config"
refused 2 "$config:2: .*journal.segment_size is one" "${daemon[@]}" --config "$config" --check-config
printf 'allowed_paths = "/srv"\n[hydration]\nrate = "10MB"\n' >"$config"
refused 2 "$config:3: hydration.rate: .*10MB" "${daemon[@]}" --config "$config"
assert_equal 2 "$(wc -l <"$work/refused.err")" "sentences for two mistakes"
refused 2 "$config.not: |No such file" "${daemon[@]}" --config "$config.not"
refused 2 'HINDSIGHTD_VALT' env HINDSIGHTD_VALT=/srv "${daemon[@]}" --check-config
refused 2 'HINDSIGHTD_JOURNAL_SEGMENT_SIZE: 5M is not between' env HINDSIGHTD_JOURNAL_SEGMENT_SIZE=5M "${daemon[@]}"
refused 2 'loopback' env HINDSIGHTD_NBD_LISTEN=tcp:0.0.0.0:10809 "${daemon[@]}"
nothing_made "a refused configuration"

mkdir "$work/allowed" "$work/elsewhere"
write_config() { # RATE ALLOWED...
  local rate=$1 list
  shift
  list=$(printf ', "%s"' "$@")
  printf 'allowed_paths = [%s]\n[hydration]\nrate = "%s"\n' "${list:2}" "$rate" >"$config"
}
write_config 1M "$work/allowed"
start --config "$config"

# taken NAME PATH and not_taken PATTERN PATH: as the backing store of a new volume.
taken() { hindsight volume create "$1" --size 8M --backing "$2" >/dev/null 2>"$work/err" || fail "$2: $(cat "$work/err")"; }
not_taken() { refused 1 "$1" "$bin/hindsight" volume create no --size 8M --backing "$2"; }
# not_recovered PATTERN PATH: the same, of a volume from a point.
not_recovered() { refused 1 "$1" "$bin/hindsight" recover first --at now --as no --backing "$2"; }

# device_node PATH b|c MAJOR MINOR: 1 where this machine makes none here, or none that opens.
device_node() { mknod "$@" 2>/dev/null && head -c 0 "$1" 2>/dev/null || { say "(no device node can be made at $1)"; return 1; }; }

say "an operator leads the daemon nowhere outside of allowed_paths"
truncate -s 8M "$work/allowed/first" "$work/allowed/second" "$work/elsewhere/disk" "$work/elsewhere/another"
taken first "$work/allowed/first"
not_taken 'allowed_paths' "$work/elsewhere/disk"
not_taken 'allowed_paths' "$work/elsewhere/not-there"
not_taken 'allowed_paths' "$work/allowed/../elsewhere/disk"
ln -s ../elsewhere/disk "$work/allowed/link"
ln -s ../elsewhere "$work/allowed/directory"
not_taken "allowed_paths" "$work/allowed/link"
not_taken "allowed_paths" "$work/allowed/directory/disk"
not_taken 'allowed_paths' /dev/null
ln -s "$work/allowed/second" "$work/elsewhere/inwards"
taken second "$work/elsewhere/inwards"
not_recovered 'allowed_paths' "$work/elsewhere/another"

say "nor to another volume's store, whatever it is called"
not_taken 'in use' "$work/allowed/first"
ln "$work/allowed/first" "$work/allowed/hard-link"
not_taken 'in use' "$work/allowed/hard-link"
ln -s first "$work/allowed/soft-link"
not_taken 'in use' "$work/allowed/soft-link"

say "nor to what is neither a file nor a disk"
mkfifo "$work/allowed/pipe"
not_taken 'neither a regular file nor a block device' "$work/allowed/pipe"
if device_node "$work/allowed/zero" c 1 5; then
  not_taken 'neither a regular file nor a block device' "$work/allowed/zero"
fi
not_taken 'neither a regular file nor a block device' "$work/allowed"

# after_hangup PATTERN: has the daemon read its configuration again, and waits for what it says.
after_hangup() {
  local i from
  from=$(wc -l <"$daemon_log")
  kill -HUP "$daemon_pid"
  for ((i = 0; i < 200; i++)); do
    if tail -n "+$((from + 1))" "$daemon_log" | grep -qE -- "$1"; then
      echo "    $(tail -n "+$((from + 1))" "$daemon_log" | grep -E -- "$1" | head -n 1 | cut -d ' ' -f 2-)"
      return 0
    fi
    sleep 0.05
  done
  fail "after SIGHUP the log does not say /$1/"
}

say "whatever is allowed, not into the vault, nor to a device that is mounted or held"
write_config 1M /
after_hangup 'allowed_paths is / now, was '
not_taken "appliance's own" "$vault/VAULT"
not_recovered "appliance's own" "$vault/VAULT"
ln -s "$vault" "$work/allowed/vault"
not_taken "appliance's own" "$work/allowed/vault/VAULT"
not_taken "appliance's own" "$state/volumes/new.raw"
truncate -s 16M "$work/elsewhere/mounted"
mkfs.ext4 -q "$work/elsewhere/mounted"
loop=$(attach_file "$work/elsewhere/mounted")
mkdir "$work/mnt"
mount "$loop" "$work/mnt"
not_taken 'in use \(mounted' "$loop"
unmount "$work/mnt"
not_taken 'holds data' "$loop"
losetup -d "$loop"
loop=$(attach_file "$work/elsewhere/another")
taken on-a-device "$loop"
same=$work/elsewhere/same-device
if device_node "$same" b "$((0x$(stat -c %t "$loop")))" "$((0x$(stat -c %T "$loop")))"; then not_taken 'in use' "$same"; fi

say "SIGHUP applies what it can, says what it cannot, and takes nothing of what is wrong"
dd if=/dev/urandom of="$work/content" bs=1M count=64 status=none
create big 64M
nbdcopy --flush "$work/content" "$(nbd_uri big)"
hindsight recover big --at now --as recovered >/dev/null 2>&1 || fail "recover"
hydrating() { hindsight volume show recovered --json | jq -e '.state == "hydrating"' >/dev/null; }
hydrating || fail "at 1 MiB a second, 64 MiB are not hydrated yet"
{ cat "$config"; echo 'rat = 5'; } >"$work/broken"
cp "$work/broken" "$config"
after_hangup 'hindsight.toml:4: there is no setting hydration.rat: hydration.rate is one'
after_hangup 'stays as it was'
hydrating || fail "a refused configuration was applied"
write_config 0 "$work/allowed"
printf '[journal]\nsegment_size = "64M"\n[log]\nverbose = true\n' >>"$config"
after_hangup 'journal.segment_size stays 256M until the next start, which makes it 64M'
grep -q 'log.verbose is true now' "$daemon_log" || complain "log.verbose was not applied"
echo 'format = "json"' >>"$config"
after_hangup 'log.format is json now'
hindsight mark big seen >/dev/null
sed '1,/log.format is json now/d' "$daemon_log" >"$work/json.log"
request=$(jq -r 'select(.message == "audit" and .act == "createMark") | .detail | fromjson | .request' "$work/json.log")
[ -n "$request" ] || complain "no audit in the log: $(cat "$work/json.log")"
jq -e --arg request "$request" 'select(.request == $request) | .message == "http: POST /api/marks: 201" and .origin == "root (uid 0)"' \
  "$work/json.log" >/dev/null || complain "no request $request in the log: $(cat "$work/json.log")"
for ((i = 0; i < 400; i++)); do
  if ! hydrating; then break; fi
  sleep 0.05
done
assert_equal protected "$(hindsight volume show recovered --json | jq -r .state)" "the volume, without a limit of hydration"
not_taken 'allowed_paths' "$work/elsewhere/disk"
after_hangup 'journal.segment_size stays 256M'

say "volumes whose stores lie outside by now are served all the same"
stop
start --config "$config"
for volume in first second on-a-device; do
  assert_equal protected "$(hindsight volume show "$volume" --json | jq -r .state)" "$volume"
done
assert_live_equals_now recovered
stop
losetup -d "$loop"
