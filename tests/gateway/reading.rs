//! The way a clinician's application goes.

use std::path::Path;

use crate::support::issuer::clinician;
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

#[tokio::test]
async fn who_was_refused_for_want_of_a_role_stands_in_the_access_log() {
    let users = vec![clinician("north", "north", &["fhir-read"]), clinician("clerk", "north", &[])];
    let issuer = TestIssuer::start(users).await;
    let settings = "[limits]\nrequests_per_second = 40\n".to_owned();
    let options = Options { settings, ..Options::default() };
    let gateway = world::hospitals(&issuer, &["north"], options).await;
    let clerk = issuer.token("clerk");
    let audit = gateway.folder().join("audit");
    for (path, action, resource) in [
        ("/Patient/1001", "read", "Patient"),
        ("/Patient?family=mark", "search", "Patient"),
        ("/metadata", "capabilities", ""),
    ] {
        let refused = gateway.get(&clerk, path).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        let event = event_with(&audit, refused.header("x-request-id"))
            .unwrap_or_else(|| panic!("{path} is not in the access log"));
        let line = event.to_string();
        assert_eq!((&event["outcome"], &event["status"]), (&"denied".into(), &403.into()));
        assert_eq!(event["action"], action, "{line}");
        assert_eq!(event["type"].as_str().unwrap_or_default(), resource, "{line}");
        assert_eq!(event["who"]["azp"], "ward-app", "{line}");
        assert!(!line.contains("1001") && !line.contains("mark"), "{line}");
    }
    // Nobody fills the log with refusals: they count against the tenant's limits.
    let mut statuses = std::collections::BTreeSet::new();
    for _ in 0..400 {
        statuses.insert(gateway.get(&clerk, "/Patient/1001").await.status);
    }
    assert_eq!(statuses, [403, 429].into(), "{statuses:?}");
}

/// The event of the log with that text, whichever file holds it by now.
fn event_with(folder: &Path, wanted: &str) -> Option<serde_json::Value> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find_map(|path| {
        if path.is_dir() {
            return event_with(&path, wanted);
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let begin = text[..text.find(wanted)?].rfind("{\"n\":")?;
        serde_json::Deserializer::from_str(&text[begin..]).into_iter().next()?.ok()
    })
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
