//! Pages and catalogues over leases, with the session settings the gateway really sets.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use wardgate::base::{
    ConnectionRecord, ConnectionRevision, Deadline, Fault as _, FaultKind, SystemClock, TenantId,
};
use wardgate::mapping::catalog::SqlType;
use wardgate::mapping::plan::{Child, CompareOp, Order, Predicate, SourcePlan, Written};
use wardgate::pool::dial::{DialConfig, Dialer, EgressRules};
use wardgate::pool::{
    Dial, LaneLimits, LaneSpec, PoolConfig, Pools, RecordFault, RecordMark, RecordSource,
};
use wardgate::store::{Flavour, StoreFault, fetch_page, introspect};

use crate::harness::{Database, MariaDb, Postgres};
use crate::store_bed::{INT, column, compare, query};

struct Source(ConnectionRecord);

impl RecordSource for Source {
    fn record(&self) -> BoxFuture<'_, Result<ConnectionRecord, RecordFault>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// Pools with one connection to `database` as a tenant's, and the folder of the driver's sockets.
fn pools(database: &Database) -> (Pools, LaneSpec, tempfile::TempDir) {
    let sockets = tempfile::tempdir().unwrap();
    let dial = DialConfig {
        connect_timeout: Duration::from_secs(20),
        egress: EgressRules::parse(&["127.0.0.1/32:*"]).unwrap(),
        socket_dir: sockets.path().to_owned(),
        ..DialConfig::default()
    };
    let clock = Arc::new(SystemClock);
    let dialer: Arc<dyn Dial> = Arc::new(Dialer::new(dial, Arc::clone(&clock) as _));
    let config = PoolConfig { connect_timeout: Duration::from_secs(20), ..Default::default() };
    let pools = Pools::new(config, dialer, clock);
    let mut limits = LaneLimits::with_connections(1);
    limits.acquire_timeout = Duration::from_secs(20);
    limits.session.statement_timeout = Duration::from_secs(30);
    let spec = LaneSpec {
        tenant: TenantId::random(),
        revision: ConnectionRevision(1),
        engine: database.engine,
        limits,
        expected: None,
        record: RecordMark::default(),
        source: Arc::new(Source(database.record())),
    };
    (pools, spec, sockets)
}

#[tokio::test]
async fn a_lease_gives_pages_and_catalogues_and_survives_a_bad_plan() {
    for database in [Postgres::database().await, MariaDb::database().await] {
        database
            .execute(
                "CREATE TABLE p (id INT PRIMARY KEY, at TIMESTAMP NULL);
                 INSERT INTO p VALUES (1, '2020-01-02 03:04:05'), (2, NULL);
                 CREATE TABLE k (id INT PRIMARY KEY, p_id INT REFERENCES p (id), v VARCHAR(9));
                 INSERT INTO k VALUES (1, 1, 'b'), (2, 1, 'a')",
            )
            .await;
        let (pools, spec, _sockets) = pools(&database);
        let mut lease = pools.lease(&spec, soon()).await.unwrap();
        let catalog = introspect(&mut lease, soon()).await.unwrap();
        assert_eq!(catalog.engine, database.engine);
        let at = catalog.table(None, "p").unwrap().column("at").unwrap().ty;
        let flavour = Flavour::of(database.engine, "");
        let own = column("p_id", INT);
        let mut select =
            query(flavour, "k", &[own.clone(), column("v", SqlType::Text)], Predicate::Always);
        select.limit = None;
        select.order = vec![Order { column: column("v", SqlType::Text), descending: false }];
        let (parent, own, written) = (vec![0], vec![own], Written::default());
        let mut child = Child { select, of: None, parent, own, written };
        let plan = SourcePlan {
            page: query(flavour, "p", &[column("id", INT), column("at", at)], Predicate::Always),
            children: [child.clone()].into(),
        };
        child.select.from = query(flavour, "absent", &[], Predicate::Always).from;
        let broken = SourcePlan { children: [child].into(), ..plan.clone() };
        let (plan, broken) = (Arc::new(plan), Arc::new(broken));
        for _ in 0..2 {
            let got = fetch_page(&mut lease, &plan, soon()).await.unwrap();
            let seen = got.page.row(0).and_then(|row| row.get(1)).unwrap();
            assert_eq!(seen.trim_end_matches('Z'), "2020-01-02T03:04:05");
            let names: Vec<_> = got.children[0].iter().map(|row| row.get(1).unwrap()).collect();
            assert_eq!((names, got.undecodable), (vec!["a", "b"], 0));
            let fault = fetch_page(&mut lease, &broken, soon()).await.unwrap_err();
            assert_eq!(fault.kind(), FaultKind::Mapping, "{fault}");
            assert!(!fault.to_string().contains("absent"));
        }
        drop(lease);
        pools.close(soon()).await;
    }
}

#[tokio::test]
async fn a_row_that_is_too_long_is_refused_and_the_next_one_is_read() {
    for (database, long) in
        [(Postgres::database().await, "TEXT"), (MariaDb::database().await, "LONGTEXT")]
    {
        let columns = ["a", "b", "c"];
        database
            .execute(&format!(
                "CREATE TABLE p (id INT PRIMARY KEY, a {long}, b {long}, c {long});
                 INSERT INTO p VALUES (1, 'x', 'y', 'z'), (2, '', '', '');
                 CREATE TABLE k (id INT PRIMARY KEY, p_id INT);
                 INSERT INTO k VALUES (1, 1), (2, 2)"
            ))
            .await;
        for name in columns {
            let sql = format!("UPDATE p SET {name} = REPEAT('x', 6000000) WHERE id = 2");
            database.execute(&sql).await;
        }
        let (pools, spec, _sockets) = pools(&database);
        let flavour = Flavour::of(database.engine, "");
        let texts = columns.map(|name| column(name, SqlType::Text));
        let shown = [&[column("id", INT)][..], &texts].concat();
        let own = column("p_id", INT);
        let mut select = query(flavour, "k", std::slice::from_ref(&own), Predicate::Always);
        (select.limit, select.order) =
            (None, vec![Order { column: own.clone(), descending: false }]);
        let (parent, own, written) = (vec![0], vec![own], Written::default());
        let child = Child { select, of: None, parent, own, written };
        for children in [vec![], vec![child]] {
            for (id, there) in [("2", None), ("1", Some("x")), ("2", None)] {
                let one = compare("id", INT, CompareOp::Eq, id);
                let page = query(flavour, "p", &shown, one);
                let plan = Arc::new(SourcePlan { page, children: children.clone().into() });
                let mut lease = pools.lease(&spec, soon()).await.unwrap();
                let got = fetch_page(&mut lease, &plan, soon()).await;
                match there {
                    None => {
                        let too_large = matches!(got, Err(StoreFault::TooLarge { .. }));
                        assert!(too_large, "{:?}: {got:?}", database.engine);
                    }
                    Some(there) => {
                        let got = got.unwrap();
                        assert_eq!(got.page.row(0).unwrap().get(1), Some(there));
                    }
                }
            }
        }
        pools.close(soon()).await;
    }
}
