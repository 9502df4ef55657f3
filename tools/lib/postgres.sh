# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A PostgreSQL 15 cluster of the demo's own: it listens on a unix socket below `work` only, and the
# machine's own clusters and their configuration are not touched. After work_dir.sh.

pg_bin=/usr/lib/postgresql/15/bin

as_postgres() { setpriv --reuid postgres --regid postgres --init-groups -- "$@"; }

# postgres_create DATA_DIRECTORY
postgres_create() {
  install -d -o postgres -g postgres -m 700 "$1"
  (cd / && as_postgres "$pg_bin/initdb" -D "$1" -k --no-locale -E UTF8 -A trust) >"$work/initdb.log"
  cat >>"$1/postgresql.conf" <<'SETTINGS'
listen_addresses = ''
max_wal_size = 256MB
checkpoint_timeout = 30s
SETTINGS
  # Only what was synced can be expected of a point in time; initdb ran before the line above.
  sync "$1/postgresql.conf"
}

# postgres_start DATA_DIRECTORY: sets `postgres_pid`. Connections then go to it: PGHOST is set.
postgres_start() {
  local i
  export PGHOST=$work/pg PGUSER=postgres PGPORT=5432
  install -d -o postgres -g postgres "$PGHOST"
  (cd / && exec setpriv --reuid postgres --regid postgres --init-groups -- \
    "$pg_bin/postgres" -D "$1" -k "$PGHOST" -p "$PGPORT") >>"$work/postgres.log" 2>&1 </dev/null &
  postgres_pid=$!
  remember_process clients "$postgres_pid"
  for ((i = 0; i < 1200; i++)); do
    if "$pg_bin/pg_isready" -q; then return 0; fi
    kill -0 "$postgres_pid" 2>/dev/null || break
    sleep 0.05
  done
  tail -n 5 "$work/postgres.log" >&2
  return 1
}

# postgres_stop [SIGNAL]: INT is PostgreSQL's fast shutdown, QUIT its immediate one.
postgres_stop() {
  kill "-${1:-INT}" "$postgres_pid" 2>/dev/null || true
  wait "$postgres_pid" 2>/dev/null || true
}

# sql DATABASE QUERY: bare rows, columns separated by |.
sql() { "$pg_bin/psql" -XqAt -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }

# ledger_write DATABASE FILE [SERIAL]: the ledger is what an outside witness knows. The table `ledger`
# in the database gets one row a transaction, with the serials after SERIAL (0), and FILE gets
# "SERIAL SENT ACKNOWLEDGED" (microseconds since 1970) for each commit that the database
# acknowledged. It ends when the database goes away.
ledger_write() {
  local serial=${3:-0} got sent acknowledged
  coproc PSQL { exec "$pg_bin/psql" -XqAt -d "$1" 2>/dev/null; }
  while :; do
    serial=$((serial + 1))
    sent=${EPOCHREALTIME/[.,]/}
    echo "INSERT INTO ledger VALUES ($serial, $sent) RETURNING serial;" >&"${PSQL[1]}" || break
    read -r got <&"${PSQL[0]}" || break
    acknowledged=${EPOCHREALTIME/[.,]/}
    [ "$got" = "$serial" ] || break
    echo "$serial $sent $acknowledged"
  done >"$2" 2>/dev/null
}
