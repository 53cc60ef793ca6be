//! The way a clinician's application goes.

use std::path::Path;

use crate::support::{Options, Reply, TestIssuer};
use crate::world;

#[tokio::test]
async fn a_registered_hospital_is_read_and_searched() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let token = issuer.token("north");

    let read = gateway.get(&token, "/Patient/1003").await;
    assert_eq!(read.status, 200, "{read:?}");
    assert!(read.header("content-type").starts_with("application/fhir+json"), "{read:?}");
    assert!(!read.header("x-request-id").is_empty());
    let patient = read.json();
    assert_eq!(patient["resourceType"], "Patient");
    assert_eq!(patient["id"], "1003");
    assert_eq!(patient["name"][0]["family"], "mark-north");
    assert_eq!(patient["identifier"][0]["value"], "mrn-mark-north-1003");

    let found = gateway.get(&token, "/Patient?family=mark-no").await;
    assert_eq!(found.status, 200, "{found:?}");
    assert_eq!(found.resources().len(), 5, "{found:?}");
    let none = gateway.get(&token, "/Patient?family=other").await;
    assert_eq!((none.status, none.resources().len()), (200, 0), "{none:?}");

    let url = format!("{}/Patient/_search", gateway.fhir);
    let form = gateway.http.post(url).bearer_auth(&token);
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let form = Reply::of(form.body("_id=1001,1005")).await.unwrap();
    assert_eq!((form.status, form.resources().len()), (200, 2), "{form:?}");
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let token = issuer.token("north");
    let (mut path, mut seen, mut pages) = ("/Patient?_count=2".to_owned(), Vec::new(), 0);
    loop {
        let page = gateway.get(&token, &path).await;
        assert_eq!(page.status, 200, "{page:?}");
        let ids = page.resources().into_iter().map(|r| r["id"].as_str().unwrap().to_owned());
        seen.extend(ids);
        pages += 1;
        match page.next() {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(seen, ["1001", "1002", "1003", "1004", "1005"]);
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn what_a_server_can_is_told_with_and_without_a_token() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let open = Reply::of(gateway.http.get(format!("{}/metadata", gateway.fhir))).await.unwrap();
    assert_eq!(
        (open.status, open.json()["resourceType"].as_str()),
        (200, Some("CapabilityStatement"))
    );
    let own = gateway.get(&issuer.token("north"), "/metadata").await;
    assert_eq!(own.status, 200, "{own:?}");
    let types: Vec<_> = own.json()["rest"][0]["resource"].as_array().cloned().unwrap_or_default();
    assert!(types.iter().any(|t| t["type"] == "Patient"), "{own:?}");
    let ready = Reply::of(gateway.http.get(format!("{}/readyz", gateway.admin))).await.unwrap();
    assert_eq!(ready.status, 200, "{ready:?}");
}

#[tokio::test]
async fn every_answer_with_data_has_its_event() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let token = issuer.token("north");
    let audit = gateway.folder().join("audit");
    let before = occurrences(&audit, "request");
    let mut requests = Vec::new();
    for _ in 0..10 {
        let read = gateway.get(&token, "/Patient/1001").await;
        assert_eq!(read.status, 200, "{read:?}");
        requests.push(read.header("x-request-id").to_owned());
        // On disk already: the answer has been read.
        let last = requests.last().unwrap();
        assert!(occurrences(&audit, last) > 0, "request {last} is not in the access log");
    }
    assert!(occurrences(&audit, "request") > before);
}

/// How often a text stands in the files below a folder.
fn occurrences(folder: &Path, wanted: &str) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                return occurrences(&path, wanted);
            }
            String::from_utf8_lossy(&std::fs::read(&path).unwrap()).matches(wanted).count()
        })
        .sum()
}
