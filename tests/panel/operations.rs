//! Making, migrating and ending hospitals from the panel.

use std::time::{Duration, Instant};

use crate::support::Reply;
use crate::visitor::{Visitor, gateway};

/// Waits until a page says that its operation is in that state.
async fn until(visitor: &Visitor, path: &str, state: &str) -> Reply {
    let (begun, wanted) = (Instant::now(), format!("\">{state}</span>"));
    loop {
        let page = visitor.get(path).await;
        assert_eq!(page.status, 200, "{page:?}");
        if page.body.contains(&wanted) {
            return page;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "never {state}: {}", page.body);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_hospital_is_made_and_ended() {
    let (issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let csrf = visitor.csrf().await;
    let fields = [("server_name", "folder"), ("kind", "folder")];
    let done = visitor.post("/panel/servers", &csrf, &fields).await;
    assert_eq!((done.status, done.header("location")), (303, "/panel/servers?done=server"));
    let again = visitor.post("/panel/servers", &csrf, &fields).await;
    assert_eq!(again.status, 409);
    assert!(again.body.contains("exists already") && again.body.contains("value=\"folder\""));

    let realm = issuer.hospitals();
    let hospital = |name| {
        [
            ("name", name),
            ("display_name", "<i>East</i>"),
            ("server", "folder"),
            ("issuer", realm.as_str()),
            ("claim", "east"),
            ("azp", "ward-app second-app"),
        ]
    };
    let wrong = visitor.post("/panel/provision", &csrf, &hospital("Not A Slug")).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("value=\"Not A Slug\""), "what was typed is lost");
    let ordered = visitor.post("/panel/provision", &csrf, &hospital("east")).await;
    assert_eq!(ordered.status, 303, "{ordered:?}");
    let page = until(&visitor, ordered.header("location"), "succeeded").await;
    assert!(
        page.body.contains("prove isolation") && !page.body.contains("<i>East"),
        "{}",
        page.body
    );
    let list = visitor.get("/panel/operations?tenant=east").await.body;
    assert!(list.contains("Make a hospital</a>"), "{list}");

    // Nothing to migrate: the dry run says so, the start is refused.
    let dry = visitor.post("/panel/migrations", &csrf, &[("verb", "plan")]).await;
    assert!(dry.status == 200 && dry.body.contains("1 is there already"), "{dry:?}");
    let start = visitor.post("/panel/migrations", &csrf, &[("verb", "start")]).await;
    assert_eq!(start.status, 409, "{start:?}");
    let wrong =
        visitor.post("/panel/migrations", &csrf, &[("verb", "plan"), ("release", "x")]).await;
    assert_eq!(wrong.status, 400);

    let generation = visitor.generation("east").await;
    let end =
        |confirm| [("generation", generation.as_str()), ("verb", "offboard"), ("confirm", confirm)];
    let refused = visitor.post("/panel/tenants/east/life", &csrf, &end("eats")).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let ordered = visitor.post("/panel/tenants/east/life", &csrf, &end("east")).await;
    assert_eq!(ordered.status, 303, "{ordered:?}");
    let page = until(&visitor, ordered.header("location"), "succeeded").await;
    assert!(page.body.contains("does not open"), "{}", page.body);
    let files = std::fs::read_dir(gateway.folder().join("sqlite")).unwrap();
    let left =
        files.filter(|f| f.as_ref().unwrap().file_name().to_string_lossy().starts_with("wg_"));
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn the_fleet_says_whose_schema_lags() {
    let (issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let csrf = visitor.csrf().await;
    let fields = [("server_name", "folder"), ("kind", "folder")];
    assert_eq!(visitor.post("/panel/servers", &csrf, &fields).await.status, 303);
    let realm = issuer.hospitals();
    for (name, release) in [("east", ""), ("west", "1")] {
        let hospital = [
            ("name", name),
            ("server", "folder"),
            ("issuer", realm.as_str()),
            ("claim", name),
            ("azp", "ward-app"),
            ("release", release),
        ];
        let ordered = visitor.post("/panel/provision", &csrf, &hospital).await;
        assert_eq!(ordered.status, 303, "{ordered:?}");
        until(&visitor, ordered.header("location"), "succeeded").await;
    }
    // The names on the page, in their order, each with what stands in its last column.
    let fleet = async |query: &str| {
        let page = visitor.get(&format!("/panel/{query}")).await.body;
        let lines = page.split("<tr id=\"t-").skip(1).map(|line| {
            let (name, rest) = line.split_once('"').unwrap();
            let (_, cell) = rest.split_once("data-label=\"Schema\">").unwrap();
            let (cell, _) = cell.split_once("</td>").unwrap();
            let text = cell.split(['<', '>']).step_by(2).collect::<String>();
            format!("{name} {text}")
        });
        lines.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(fleet("?order=name").await, "east 2, north –, south –, west 1 1 behind");
    assert_eq!(fleet("?order=schema").await, "west 1 1 behind, east 2, north –, south –");
    assert_eq!(fleet("?schema=behind").await, "west 1 1 behind");
    assert_eq!(fleet("?schema=newest").await, "east 2");
    assert_eq!(fleet("?schema=not%20ours&order=name").await, "north –, south –");
    assert_eq!(fleet("?schema=failed").await, "");
    // Another page keeps what was chosen.
    let page = visitor.get("/panel/?schema=behind&level=well").await.body;
    assert!(page.contains("schema=behind&amp;page=1"), "{page}");
    assert!(page.contains("<option value=\"behind\" selected>"), "{page}");
    // Its schema was left in the middle, as a migration notes it.
    let registry = gateway.folder().join("registry.db");
    let sql = "UPDATE tenant_schemas SET trouble = 'a column is there already' WHERE tenant = \
               (SELECT id FROM tenants WHERE name = 'west')";
    plain_sql(&registry, sql).await;
    assert_eq!(fleet("?schema=failed").await, "west 1 failed");
}

/// Somebody writes to the registry by hand.
async fn plain_sql(file: &std::path::Path, sql: &str) {
    use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut conn = options.connect().await.unwrap();
    conn.execute(sqlx::raw_sql(sql)).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn who_only_looks_sees_no_form_and_an_attached_hospital_keeps_its_password() {
    let (_issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("viewer").await;
    for path in
        ["/panel/operations", "/panel/servers", "/panel/migrations", "/panel/tenants/north/life"]
    {
        let page = visitor.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.body.matches("method=\"post\"").count(), 1, "{path}: signing out only");
    }
    for path in ["/panel/operations/x", "/panel/operations/123e4567-e89b-42d3-a456-426614174000"] {
        assert_eq!(visitor.get(path).await.status, 404, "{path}");
    }
    let operator = Visitor::of(&gateway);
    operator.sign_in("operator").await;
    let csrf = operator.csrf().await;
    let rotate = [("generation", "4"), ("verb", "rotate")];
    let refused = operator.post("/panel/tenants/north/life", &csrf, &rotate).await;
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("set-connection"), "{}", refused.body);
    let file = gateway.folder().join("sqlite/north.db");
    let before = std::fs::read(&file).unwrap();
    let generation = operator.generation("north").await;
    let end = [("generation", generation.as_str()), ("verb", "offboard"), ("confirm", "north")];
    let ordered = operator.post("/panel/tenants/north/life", &csrf, &end).await;
    assert_eq!(ordered.status, 303, "{ordered:?}");
    let page = until(&operator, ordered.header("location"), "succeeded").await;
    assert!(page.body.contains("own database, untouched"), "{}", page.body);
    assert_eq!(
        std::fs::read(&file).unwrap(),
        before,
        "an attached hospital's database was touched"
    );
}

#[tokio::test]
async fn tokens_that_leaked_are_refused_from_the_hospitals_page() {
    let (issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let (csrf, north) = (visitor.csrf().await, issuer.token("north"));
    let page = visitor.get("/panel/tenants/north").await.body;
    assert!(page.contains("that cannot be undone") && !page.contains("Tokens issued before"));
    assert_eq!(gateway.get(&north, "/Patient/1001").await.status, 200);
    let path = "/panel/tenants/north/refuse-tokens";
    let generation = visitor.generation("north").await;
    let done = visitor.post(path, &csrf, &[("generation", &generation)]).await;
    assert_eq!(done.status, 303, "{done:?}");
    assert_eq!(gateway.get(&north, "/Patient/1001").await.status, 401);
    assert_eq!(gateway.get(&issuer.token("south"), "/Patient/2001").await.status, 200);
    let page = visitor.get(done.header("location")).await.body;
    for said in
        ["Every token issued until now is refused.", "Tokens issued before", "older tokens refused"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
}
