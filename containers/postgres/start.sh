#!/usr/bin/env bash
# Start PostgreSQL as the owner of the mounted folder, with no capability. A folder of root's goes to `postgres`,
# since PostgreSQL refuses to run as root.
set -euo pipefail
folder=/var/lib/postgresql
major=18
data=$folder/$major/docker

as() {
  setpriv --reuid "$1" --regid "$2" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "${@:3}"
}

refuse() {
  echo "PostgreSQL: $*" >&2
  exit 1
}

# initdb wants a user that /etc/passwd knows, which the owner of the folder need not be: so `postgres` makes the
# cluster in memory, and the owner takes it from there.
make_cluster() {
  initdb --pgdata=/tmp/cluster --username=postgres --auth=trust --encoding=UTF8 --locale-provider=builtin \
    --locale=C.UTF-8 --data-checksums --no-sync --no-instructions >/dev/null
  printf '%s;\n\n' 'CREATE ROLE local LOGIN CREATEDB' 'CREATE DATABASE local OWNER local' |
    postgres --single -j -c log_checkpoints=off -D /tmp/cluster postgres >/dev/null
  chmod -R a+rX /tmp/cluster
}

# The data folder is complete or absent: killed at any instant, the next start begins afresh.
keep_cluster() {
  rm -rf "$data.new"
  cp -r /tmp/cluster "$data.new"
  chmod -R go-rwx "$data.new"
  sync -f "$data.new"
  mv "$data.new" "$data"
}

# The passwords that compose.public.yml has each service use, as SQL. Read by the owner of the files.
passwords() {
  local folder
  for folder in /run/secrets/*; do
    [ ! -d "$folder" ] || as "$(stat -c %u "$folder")" "$(stat -c %g "$folder")" \
      sed -nE "s/^[*]:[*]:[*]:([a-z]+):([A-Za-z0-9_-]+)$/ALTER ROLE \1 PASSWORD '\2';/p" "$folder/pgpass"
  done
}

# Tables and roles, by a server that nobody else can reach yet. A statement that fails is told and passed over: the
# database must start whatever its user did to his own tables. (`postgres --single` would want the owner of the folder
# in /etc/passwd.)
keep_schema() {
  local alone="-c listen_addresses= -c unix_socket_directories=/tmp -c hba_file=/start/pg_hba.conf"
  if pg_ctl start -D "$data" --silent --wait --timeout 3600 -o "$alone -c log_min_messages=fatal"; then
    PGOPTIONS='-c client_min_messages=error' psql -Xq -h /tmp -U postgres -d local -f /start/schema.sql \
      -c "RESET SESSION AUTHORIZATION" -f - || true
    pg_ctl stop -D "$data" --silent --wait --timeout 3600 --mode fast
  fi
}

check_versions() {
  local other
  for other in "$folder"/*/docker "$folder"; do
    [ "$other" = "$data" ] || [ ! -e "$other/PG_VERSION" ] || [ -e "$data" ] ||
      refuse "volumes/postgres holds data of version $(cat "$other/PG_VERSION"), this is version $major." \
        "Dump it with the old version and restore it here, or move it away to start with an empty database."
  done
}

serve() {
  check_versions
  # The lock lives as long as the server and its children, which inherit the descriptor.
  exec 9<"$folder/$major"
  flock -n 9 || refuse "another server uses volumes/postgres. Find it with 'docker ps' and stop it first."
  [ -e "$data" ] || keep_cluster
  keep_schema
  exec postgres -D "$data" -c hba_file="${HBA_FILE:-/start/pg_hba.conf}" -c listen_addresses='*' \
    -c unix_socket_directories=/var/run/postgresql -c log_checkpoints=off
}

owner() {
  if [ "$(stat -c %u "$folder")" = 0 ]; then
    echo "$(id -u postgres) $(id -g postgres)"
  else
    stat -c '%u %g' "$folder"
  fi
}

check() {
  local uid gid
  read -r uid gid < <(owner)
  as "$uid" "$gid" psql -X -h /var/run/postgresql -U local -qtAc 'SELECT 1'
}

start() {
  local uid gid
  read -r uid gid < <(owner)
  if [ "$(stat -c %u "$folder")" = 0 ]; then
    mkdir -p "$folder/$major"
    chown "$uid:$gid" "$folder/$major"
  fi
  as "$uid" "$gid" mkdir -p "$folder/$major"
  as "$uid" "$gid" test -e "$data" || as postgres postgres "$BASH" "$0" make_cluster
  exec setpriv --reuid "$uid" --regid "$gid" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs \
    "$BASH" "$0" serve < <(passwords)
}

"${1:-start}"
