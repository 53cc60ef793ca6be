//! A PostgreSQL with a standby: a name that leads to both, an address that moves from one to the other, and a
//! standby that is promoted under load when its primary dies.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wardgate::base::Deadline;

use crate::addresses::{Address, named};
use crate::harness::{Postgres, Server};
use crate::stoppable::Stoppable;
use crate::support::Reply;
use crate::write_bed::Bed;

const TABLES: &str = "
CREATE TABLE people (id INT PRIMARY KEY, family VARCHAR(40) NOT NULL, rev INT NOT NULL DEFAULT 1);
INSERT INTO people (id, family) SELECT n, 'Family' || n FROM generate_series(1, 20) AS n;";

const MAPPING: &str = r#"
mapping: 1
resources:
  - type: Patient
    from: {table: people}
    key: id
    id: "$id"
    version: "$rev"
    map:
      name: [{family: "$family"}]
    write: {update: {version_column: rev}}
"#;

/// Longer than anything takes on a loaded machine.
const BOUND: Duration = Duration::from_mins(2);

/// Runs a script as the servers' own user, with `DATA` the folder of the primary's cluster, and gives what it wrote
/// to `SAID`.
fn shell(primary: &Stoppable, script: &str) -> String {
    let said = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        r#"set -eu
        bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin -type d | sort -V | tail -n 1)
        as() {{ if [ "$EUID" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi; }}
        {script}"#
    );
    let done = Command::new("bash")
        .args(["-c", &script])
        .env("DATA", primary.data())
        .env("SAID", said.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success(), "{script}");
    std::fs::read_to_string(said.path()).unwrap()
}

/// A standby on a port of its own, which has everything that the primary ever acknowledges.
struct Standby<'a> {
    primary: &'a Stoppable,
    port: u16,
}

impl<'a> Standby<'a> {
    fn of(primary: &'a Stoppable) -> Self {
        let Server { port: first, password, .. } = primary.server();
        let port = shell(
            primary,
            &format!(
                r#"printf "wal_level = replica\nmax_wal_senders = 4\n" >> "$DATA/postgresql.conf"
                echo 'host replication all 127.0.0.1/32 scram-sha-256' >> "$DATA/pg_hba.conf"
                as "$bin/pg_ctl" -D "$DATA" -l "$DATA/log" -s -w -m fast restart
                as env PGPASSWORD='{password}' "$bin/pg_basebackup" -h 127.0.0.1 -p {first} -U postgres \
                    -D "$DATA-standby" -X stream -c fast -R --no-sync
                # Somebody else may take the port first.
                for attempt in 1 2 3 4 5; do
                    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
                    as bash -c 'printf "port = %s\n" "$2" >> "$1"' - "$DATA-standby/postgresql.conf" "$port"
                    if as "$bin/pg_ctl" -D "$DATA-standby" -l "$DATA-standby/log" -s -w start; then
                        printf '%s' "$port" > "$SAID"
                        break
                    fi
                done
                [ -s "$SAID" ]
                printf "synchronous_standby_names = '*'\nsynchronous_commit = remote_apply\n" >> "$DATA/postgresql.conf"
                as "$bin/pg_ctl" -D "$DATA" -s reload"#
            ),
        );
        Self { primary, port: port.parse().unwrap() }
    }

    fn promote(&self) {
        shell(
            self.primary,
            r#"as "$bin/pg_ctl" -D "$DATA" -s -m immediate stop
            as "$bin/pg_ctl" -D "$DATA-standby" -s -w promote"#,
        );
    }
}

impl Drop for Standby<'_> {
    fn drop(&mut self) {
        let end = r#"as "$bin/pg_ctl" -D "$DATA-standby" -s -m immediate stop || true"#;
        shell(self.primary, end);
    }
}

/// Whether a name that leads to those servers leads to one that takes no changes.
async fn leads_to_a_standby(bed: &Bed, ports: [u16; 2]) -> bool {
    let addresses = Address::several(ports.map(Some)).await;
    let (pools, spec, _sockets) = named(bed.database(), &addresses);
    let lease = pools.lease(&spec, Deadline::after(BOUND)).await.unwrap();
    lease.facts().standby
}

async fn put(bed: &Bed, rev: i64) -> Reply {
    let patient = json!({ "resourceType": "Patient", "id": "1", "name": [{ "family": format!("New{rev}") }],
        "meta": { "versionId": rev.to_string() } });
    bed.send(Method::PUT, "/Patient/1", patient.to_string()).await
}

/// Four who read without end, each a patient of her own.
fn readers(bed: &Arc<Bed>, over: &CancellationToken) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    for id in 5..=8 {
        let (bed, over) = (Arc::clone(bed), over.clone());
        readers.spawn(async move {
            while !over.is_cancelled() {
                let reply = bed.send(Method::GET, &format!("/Patient/{id}"), String::new()).await;
                match reply.status {
                    200 => {
                        assert_eq!(reply.json()["name"][0]["family"], format!("Family{id}"));
                    }
                    503 | 504 => tokio::time::sleep(Duration::from_millis(20)).await,
                    other => panic!("{other}: {}", reply.body),
                }
            }
        });
    }
    readers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_read_where_nothing_else_serves_and_written_once_it_takes_over() {
    let primary = Stoppable::postgres().await;
    let standby = tokio::task::block_in_place(|| Standby::of(&primary));
    let first = primary.server().port;
    let address = Address::of(first).await;
    let database = Postgres::database_on(primary.server()).await;
    let bed = Arc::new(Bed::open_at(Some(database), address.port, TABLES).await);
    bed.gateway.publish("north", MAPPING).await;
    for ports in [[standby.port, first], [first, standby.port]] {
        assert!(!leads_to_a_standby(&bed, ports).await, "there is a primary");
    }

    // An address that leads to the standby for a while: what was opened there is not kept for changes.
    bed.gateway.operate(Method::POST, "tenants/north/pool/drain", None, None).await;
    address.lead_to(standby.port);
    bed.read("/Patient/1").await;
    let refused = put(&bed, 1).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    address.lead_to(first);
    for rev in 1..=5 {
        let reply = put(&bed, rev).await;
        assert_eq!(reply.status, 200, "{rev}: {reply:?}");
    }

    let over = CancellationToken::new();
    let mut readers = readers(&bed, &over);
    tokio::task::block_in_place(|| standby.promote());
    address.lead_to(standby.port);
    let moved = Instant::now();
    let back = loop {
        let reply = bed.send(Method::GET, "/Patient/1", String::new()).await;
        if reply.status == 200 {
            break reply.json();
        }
        assert!(moved.elapsed() < BOUND, "{reply:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // Whatever was acknowledged is there, and what is read can be written.
    assert_eq!(
        (&back["name"][0]["family"], &back["meta"]["versionId"]),
        (&json!("New5"), &json!("6"))
    );
    let reply = put(&bed, 6).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    over.cancel();
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
}
