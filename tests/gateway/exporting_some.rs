//! Exports of patients who are named, and of what meets any of several filters.

use serde_json::{Value, json};

use crate::exporting::{BASE, file, ids, manifest, order, place, resources, world};
use crate::support::{Gateway, Reply};

/// The answer to an order by body that names these patients.
async fn post(gateway: &Gateway, token: &str, path: &str, patients: &[&str]) -> Reply {
    let named = patients
        .iter()
        .map(|patient| json!({"name": "patient", "valueReference": {"reference": patient}}));
    let ty = json!({"name": "_type", "valueString": "Patient,Observation"});
    let items: Vec<Value> = std::iter::once(ty).chain(named).collect();
    let body = json!({"resourceType": "Parameters", "parameter": items}).to_string();
    let request = gateway.http.post(format!("{}{path}", gateway.fhir)).bearer_auth(token);
    let request = request.header("prefer", "respond-async");
    let request = request.header("content-type", "application/fhir+json");
    Reply::of(request.body(body)).await.unwrap()
}

#[tokio::test]
async fn only_what_is_of_the_patients_named_is_given() {
    let (issuer, gateway) = world(0).await;
    let token = issuer.token("ana");
    let own = format!("{BASE}/Patient/2");
    for (path, patients, wanted) in [
        (
            "/Patient/$export",
            &["Patient/1", own.as_str(), "Patient/250", "Patient/1"][..],
            [1, 2, 250],
        ),
        ("/Group/1/$export", &["Patient/3", "Patient/4", "Patient/119"], [3, 4, 119]),
    ] {
        let place = place(&post(&gateway, &token, path, patients).await);
        let manifest = gateway.get(&token, &place).await.json();
        assert_eq!(manifest["request"], format!("{BASE}{path}"));
        let found = resources(&gateway, &token, &file(&manifest, "Patient").unwrap()).await;
        assert_eq!(ids(&found), wanted.into(), "{path}");
        let of_them = |i: &u64| !i.is_multiple_of(9) && wanted.contains(&(i % 300 + 1));
        let path = file(&manifest, "Observation").unwrap();
        let found = resources(&gateway, &token, &path).await;
        assert_eq!(ids(&found), (1..=900).filter(of_them).collect(), "{path}");
        // Behind each of them it goes on as it would have.
        for (at, one) in found.iter().enumerate() {
            let after = format!("{path}?_after={}", one["id"].as_str().unwrap());
            assert_eq!(resources(&gateway, &token, &after).await, found[at + 1..], "{after}");
        }
    }
    let (_, by_address) =
        manifest(&gateway, &token, "/Patient/$export?_type=Patient&patient=Patient/7,Patient/8")
            .await;
    let found = resources(&gateway, &token, &file(&by_address, "Patient").unwrap()).await;
    assert_eq!(ids(&found), [7, 8].into());
}

#[tokio::test]
async fn whoever_is_not_here_or_not_in_the_group_is_refused_at_once() {
    let (issuer, gateway) = world(0).await;
    let token = issuer.token("ana");
    let many: Vec<String> = (1..=101).map(|id| format!("Patient/{id}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (path, patients, said) in [
        ("/Patient/$export", &["Patient/1", "Patient/99999"][..], "not here"),
        ("/Patient/$export", &["Patient/01"], "not here"),
        ("/Patient/$export", &["Group/1"], "references such as"),
        ("/Patient/$export", &["https://elsewhere.test/fhir/Patient/1"], "references such as"),
        ("/Patient/$export", &many, "100 patients"),
        ("/Group/1/$export", &["Patient/1", "Patient/10"], "no members"),
        ("/Group/1/$export", &["Patient/121"], "no members"),
        ("/$export", &["Patient/1"], "patient, of an export of everything"),
    ] {
        let refused = post(&gateway, &token, path, patients).await;
        assert_eq!(refused.status, 400, "{path} {patients:?}: {refused:?}");
        let diagnostics = refused.json()["issue"][0]["diagnostics"].to_string();
        assert!(diagnostics.contains(said), "{path} {patients:?}: {diagnostics}");
    }
    assert_eq!(post(&gateway, &token, "/Patient/$export", &many[1..]).await.status, 202);
    let nobody = order(&gateway, &token, "/Patient/$export?patient=").await;
    assert_eq!(nobody.status, 400, "{nobody:?}");
    // Another hospital's.
    let other = post(&gateway, &issuer.token("uli"), "/Patient/$export", &["Patient/1"]).await;
    assert_eq!(gateway.get(&token, &place(&other)).await.status, 404);
}

#[tokio::test]
async fn of_several_filters_of_a_type_any_may_hold() {
    let (issuer, gateway) = world(0).await;
    let token = issuer.token("ana");
    let filters = [
        "_typeFilter=Observation%3Fcode%3D8867-4%26patient%3D5,Observation%3F_id%3D10%5C%2C11",
        "_typeFilter=Observation%3Fpatient%3DPatient/5&_typeFilter=Patient%3Ffamily%3Dnorth-1234",
    ];
    let meets = |i: &u64| [10, 11].contains(i) || (!i.is_multiple_of(9) && i % 300 + 1 == 5);
    for level in ["", "/Patient", "/Group/1"] {
        let path = format!("{level}/$export?_type=Patient,Observation&{}", filters.join("&"));
        let (_, all) = manifest(&gateway, &token, &path).await;
        let path = file(&all, "Observation").unwrap();
        let found = resources(&gateway, &token, &path).await;
        assert_eq!(ids(&found), (1..=900).filter(meets).collect(), "{level}");
        let last = found[found.len() - 2]["id"].as_str().unwrap();
        let rest = resources(&gateway, &token, &format!("{path}?_after={last}")).await;
        assert_eq!(rest, found[found.len() - 1..], "{level}");
    }
    let since = format!("/$export?_type=Observation&_since=2024-01-01T00:00:00Z&{}", filters[0]);
    let since = since.replace("%26patient%3D5", "");
    let (_, all) = manifest(&gateway, &token, &since).await;
    let found = resources(&gateway, &token, &file(&all, "Observation").unwrap()).await;
    assert_eq!(ids(&found), (801..=900).filter(|i| i % 2 == 0).collect());
    let wrong = "/$export?_typeFilter=Patient%3Ffamily%3Da,Patient%3Fcolour%3Db";
    let refused = order(&gateway, &token, wrong).await;
    assert!(refused.status == 400 && refused.body.contains("colour"), "{refused:?}");
}
