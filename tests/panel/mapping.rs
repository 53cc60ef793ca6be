//! The mapping page: drafts, comparison, the trial beside the text, and what the database changed.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::support::mapping;
use crate::visitor::{Visitor, gateway};

const PAGE: &str = "/panel/tenants/north/mappings";

#[tokio::test]
async fn a_draft_is_made_read_compared_and_checked_on_one_page() {
    let (_issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let csrf = visitor.csrf().await;
    let generation = visitor.generation("north").await;
    let send = async |verb: &str, text: &str| {
        let fields = [("generation", generation.as_str()), ("verb", verb), ("text", text)];
        visitor.post(PAGE, &csrf, &fields).await
    };
    let draft = send("draft", "what stood there").await;
    assert_eq!(draft.status, 200, "{draft:?}");
    assert!(draft.body.contains("A draft of 1 table."), "{}", draft.body);
    assert!(draft.body.contains("family: &quot;$family_name&quot;"), "{}", draft.body);
    let checked = send("check", &mapping("2")).await;
    assert_eq!(checked.status, 200, "{checked:?}");
    assert!(checked.body.contains("5 of 5 rows give a resource"), "{}", checked.body);
    let compared = send("compare", &mapping("2")).await;
    assert_eq!(compared.status, 200, "{compared:?}");
    assert!(compared.body.contains("map.identifier[0].system"), "{}", compared.body);
    assert!(compared.body.contains("stays the same"), "{}", compared.body);
    let nonsense = send("compare", "mapping: 1\nresources: {").await;
    assert_eq!(nonsense.status, 400, "{nonsense:?}");
    // Nobody sees a row here, and nothing was stored by looking.
    for page in [&draft, &checked, &compared] {
        assert!(!page.body.contains("mrn-mark"), "{}", page.body);
    }
    let versions = gateway.view("tenants/north/mappings").await;
    assert_eq!(versions.as_array().map(Vec::len), Some(1), "{versions}");
}

#[tokio::test]
async fn a_changed_database_is_what_is_wrong_until_it_is_put_right() {
    let (issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let alter = async |sql: &str| {
        let file = gateway.folder().join("sqlite/north.db");
        let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    };
    let (token, page) = (issuer.token("north"), "/panel/tenants/north");
    assert_eq!(gateway.get(&token, "/Patient/1001").await.status, 200);
    alter("ALTER TABLE patients RENAME COLUMN mrn TO mrn_2").await;
    assert_eq!(gateway.get(&token, "/Patient/1001").await.status, 500);
    let look =
        gateway.change(reqwest::Method::POST, "north", "mappings/drift", serde_json::json!({}));
    let look = look.await;
    assert_eq!(look["changes"][0]["column"], "mrn");
    let since = look["changes"][0]["since"].as_str().unwrap().to_owned();
    let gone = "'patients.mrn' is gone";
    for path in [page, PAGE, "/panel/"] {
        let shown = visitor.get(path).await.body.replace("&#39;", "'");
        assert!(shown.contains(gone), "{path}: {shown}");
    }
    // It is the sentence that says what is wrong, since when and what to do, and it stays the same moment.
    let csrf = visitor.csrf().await;
    let again = visitor.post(&format!("{page}/check"), &csrf, &[]).await;
    let shown = again.body.replace("&#39;", "'");
    for said in [
        "The connection works.",
        "requests fail of it",
        "chip down",
        "Its database has changed: ",
        "publish a mapping for the schema as it is",
        &since,
        "Open its mapping",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    alter("ALTER TABLE patients RENAME COLUMN mrn_2 TO mrn").await;
    assert_eq!(gateway.get(&token, "/Patient/1001").await.status, 200);
    let mended =
        visitor.post(&format!("{page}/check"), &csrf, &[]).await.body.replace("&#39;", "'");
    // What was done stays in the list of it.
    let (now, _) = mended.split_once("id=\"timeline\"").unwrap();
    assert!(!now.contains(gone) && !now.contains("requests fail of it"), "{now}");
}
