//! A hospital's account that is refused while connections it opened before serve on.

use std::time::Duration;

use sqlx::Executor as _;
use wardgate::base::Deadline;
use wardgate::pool::{BreakerState, PoolFault};

use crate::harness::MariaDb;
use crate::lane_bed::text;
use crate::stoppable::Stoppable;
use crate::surroundings::{admin_of, as_admin, both, patient, soon};

/// MariaDB is told to stop a statement by logging in, and counts who is refused, as hospitals' servers do.
#[tokio::test]
async fn a_statement_is_not_stopped_with_an_account_that_is_refused() {
    let server = Stoppable::mariadb().await;
    let database = MariaDb::database_on(server.server()).await;
    let (pools, spec, _sockets) = patient(&database);
    let mut lease = pools.lease(&spec, soon()).await.unwrap();
    let user = &database.user;
    let change = format!("ALTER USER {user}@'%' IDENTIFIED BY 'another one'");
    let mut admin = admin_of(&database).await;
    admin.execute(sqlx::raw_sql(&change)).await.unwrap();
    // Nobody is given a second connection, and the lane knows why.
    let second = {
        let (pools, spec) = (pools.clone(), spec.clone());
        tokio::spawn(async move { pools.lease(&spec, soon()).await.map(drop) })
    };
    let limit = soon();
    while pools.status(spec.tenant).unwrap().failed_total == 0 {
        assert!(!limit.passed(), "nobody was refused: {:?}", pools.status(spec.tenant));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    second.abort();
    let mut refused = async || {
        let sql = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'ACCESS_DENIED_ERRORS'";
        sqlx::query_scalar::<_, String>(sql).fetch_one(&mut admin).await.unwrap()
    };
    let before = refused().await;
    assert_ne!(before, "0");
    let short = Deadline::after(Duration::from_millis(500));
    let cut = lease.run(short, |c| text(c, "SELECT CAST(SLEEP(600) AS CHAR)")).await;
    assert_eq!(cut, Err(PoolFault::Timeout));
    drop(lease);
    let limit = soon();
    while pools.status(spec.tenant).unwrap().open > 0 {
        assert!(!limit.passed(), "{:?}", pools.status(spec.tenant));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(refused().await, before);
}

#[tokio::test]
async fn a_password_changed_on_the_server_alone_leaves_what_is_open_in_service() {
    for database in both().await {
        let (pools, spec, _sockets) = patient(&database);
        let held = pools.lease(&spec, soon()).await.unwrap();
        as_admin(
            &database,
            "ALTER ROLE ACCOUNT PASSWORD 'another one'",
            "ALTER USER ACCOUNT@'%' IDENTIFIED BY 'another one'",
        )
        .await;
        let caller = {
            let (pools, spec) = (pools.clone(), spec.clone());
            tokio::spawn(async move {
                let mut lease = pools.lease(&spec, soon()).await?;
                lease.run(soon(), |c| text(c, "SELECT 'x'")).await
            })
        };
        let limit = soon();
        while pools.status(spec.tenant).unwrap().failed_total == 0 {
            assert!(!limit.passed(), "nobody was refused: {:?}", pools.status(spec.tenant));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(held);
        assert_eq!(caller.await.unwrap().as_deref(), Ok("x"), "{:?}", database.engine);
        assert_eq!(pools.breaker_status(spec.tenant).unwrap().state, BreakerState::Closed);
        // What is left in no lane is refused at once, and the server is not asked again.
        pools.retire(spec.tenant);
        let fault = pools.lease(&spec, soon()).await.unwrap_err();
        assert!(matches!(fault, PoolFault::BreakerOpen { .. }), "{fault}");
    }
}
