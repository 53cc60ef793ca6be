//! Drafts of the demo's three hospitals, judged as somebody who knows the schemas would.

use std::collections::BTreeMap;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use crate::mapping::draft::{Draft, Sampled, asks, draft};
use crate::mapping::plan::SourcePlan;
use crate::mapping::{Document, compile};
use crate::store::run::{TenantConn, fetch_page_on};
use crate::store::{Flavour, introspect_on};

/// The draft of a database, which passes its own check.
async fn drafted(sql: &str) -> Draft {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    let catalog = introspect_on(&mut TenantConn::Sqlite(&mut conn)).await.unwrap().unwrap();
    let mut samples = BTreeMap::new();
    for ask in asks(&catalog) {
        let plan = SourcePlan { page: ask.select, children: std::sync::Arc::default() };
        let mut tenant = TenantConn::Sqlite(&mut conn);
        let fetched = fetch_page_on(&mut tenant, &plan, Flavour::Sqlite, 1 << 20);
        let rows = fetched.await.unwrap().unwrap().page;
        samples.insert(ask.table, Sampled::new(ask.columns, rows));
    }
    let draft = draft(&catalog, &samples);
    let document = Document::parse(&draft.text).unwrap_or_else(|p| panic!("{p:?}\n{}", draft.text));
    compile(&document, &catalog).unwrap_or_else(|p| panic!("{p:#?}\n{}", draft.text));
    draft
}

fn has(draft: &Draft, wanted: &[&str]) {
    for wanted in wanted {
        assert!(draft.text.contains(wanted), "{wanted} in\n{}", draft.text);
    }
}

#[tokio::test]
async fn north_comes_out_nearly_whole() {
    let draft = drafted(include_str!("../app/demo/hospitals/north.sql")).await;
    has(
        &draft,
        &[
            "last_updated: \"$updated_at\"",
            "active: \"$active | bool('1', '0')\"",
            "- {family: \"$family_name\", given: [\"$given_names | split(' ')\"]}",
            "gender: \"$sex | code(sex)\"",
            "birthDate: \"$birth_date | date\"",
            "- {system: phone, value: \"$phone\"}",
            "- {system: email, value: \"$email\"}",
            "- {line: [\"$street\"], city: \"$city\"}",
            "status: \"$status\"",
            "subject: \"$patient_id | ref(Patient)\"",
            "- {system: \"http://loinc.org\", code: \"$loinc\", display: \"$name\"}",
            "valueQuantity: {value: \"$value | decimal\", unit: \"$unit\"}",
            "effectiveDateTime: \"$taken_at\"",
        ],
    );
}

#[tokio::test]
async fn sur_comes_out_with_its_contacts_and_without_its_deleted_rows() {
    let draft = drafted(include_str!("../app/demo/hospitals/sur.sql")).await;
    has(
        &draft,
        &[
            "from: {table: pacientes, filter: {borrado: \"0\"}}",
            "family: \"$ap_paterno, $ap_materno | join(' ')\"",
            "birthDate: \"$fec_nacimiento | date('dd/MM/yyyy')\"",
            "- each: {table: contactos, match: {id_paciente: id_paciente}, filter: {vigente: \"1\"}, order: [orden]}",
            "item: {system: \"$tipo | code(contact)\", value: \"$valor\", rank: \"$orden\"}",
            "effectiveDateTime: \"$fecha, $hora | datetime('dd/MM/yyyy HH:mm')\"",
            "value: \"$resultado | decimal(',')\"",
            "city: \"$comuna\"",
        ],
    );
}

#[tokio::test]
async fn lakes_comes_out_with_one_observation_for_each_vital_sign() {
    let draft = drafted(include_str!("../app/demo/hospitals/lakes.sql")).await;
    has(
        &draft,
        &[
            "birthDate: \"$DOB | date('yyyyMMdd')\"",
            "\"9\": \"unknown\"",
            "filter: {\"$case.column\": {missing: false}}",
            "pulse: {column: PULSE, loinc: \"8867-4\", unit: \"/min\"",
            "tempc: {column: TEMP_C,",
            "effectiveDateTime: \"$TAKEN_DT | datetime('yyyyMMddHHmm')\"",
            "- {code: \"$TEST_CD\"}",
            "unit: \"$UNITS\"",
        ],
    );
}
