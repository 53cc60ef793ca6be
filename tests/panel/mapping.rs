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
async fn a_changed_database_is_told_on_the_page_of_the_hospital() {
    let (issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let file = gateway.folder().join("sqlite/north.db");
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let sql = "ALTER TABLE patients RENAME COLUMN mrn TO mrn_2";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert_eq!(gateway.get(&issuer.token("north"), "/Patient/1001").await.status, 500);
    let look =
        gateway.change(reqwest::Method::POST, "north", "mappings/drift", serde_json::json!({}));
    assert_eq!(look.await["changes"][0]["column"], "mrn");
    for page in ["/panel/tenants/north", PAGE] {
        let shown = visitor.get(page).await;
        assert!(
            shown.body.contains("&#39;patients.mrn&#39; is gone")
                || shown.body.contains("'patients.mrn' is gone"),
            "{}",
            shown.body
        );
    }
}
