//! `docs/ADMIN-API.md` is what the admin API says of itself at `/admin/v1/openapi.json`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::support::{Gateway, Options, Reply, TestIssuer};

const PAGE: &str = include_str!("../../docs/ADMIN-API.md");
const HEAD: &str = "# Admin API\n\n\
    Every address of the control plane's API, as the gateway describes it at `/admin/v1/openapi.json` (OpenAPI 3.1). A test \
    makes this page from that description and fails when the page is older. Bearer token of the operators' issuer; JSON in \
    and out; problems as RFC 9457. `ETag` is a tenant's generation, and changes ask for it as `If-Match`: when somebody else \
    was faster the answer is 412 and names in `changes` what was done since, and by whom; `*` means whatever there is. Every `POST` takes an \
    `Idempotency-Key` of 1 to 128 characters. Times are RFC 3339.\n";
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[tokio::test]
async fn the_page_says_what_is_served() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    let url = format!("{}/admin/v1/openapi.json", gateway.admin);
    let served = Reply::of(gateway.http.get(url)).await.expect("an answer").json();
    let page = reference(&served);
    assert!(page.matches("\n### ").count() > 40, "{page}");
    let fresh = concat!(env!("CARGO_TARGET_TMPDIR"), "/ADMIN-API.md");
    std::fs::write(fresh, &page).expect("write the page");
    assert!(PAGE == page, "docs/ADMIN-API.md is old: replace it by {fresh}");
}

fn reference(document: &Value) -> String {
    let mut text = HEAD.to_owned();
    let paths = document["paths"].as_object().expect("paths");
    let mut tags: Vec<&str> = Vec::new();
    for (_, _, operation) in operations(paths) {
        let tag = operation["tags"][0].as_str().expect("a tag");
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags.sort_unstable();
    for tag in tags {
        let _infallible = write!(text, "\n## {}\n", capital(tag));
        for (path, method, operation) in operations(paths) {
            if operation["tags"][0] == tag {
                route(&mut text, path, method, operation);
            }
        }
    }
    text.push_str("\n## Bodies\n");
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        body(&mut text, name, schema);
    }
    text
}

fn operations(paths: &Map<String, Value>) -> impl Iterator<Item = (&str, &str, &Value)> {
    paths.iter().flat_map(|(path, item)| {
        let present = |method: &&'static str| item.get(*method).is_some();
        METHODS.into_iter().filter(present).map(move |method| (&**path, method, &item[method]))
    })
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// One line of a table.
fn line(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn route(text: &mut String, path: &str, method: &str, operation: &Value) {
    let _infallible = write!(text, "\n### `{} {path}`\n\n", method.to_uppercase());
    let said = [&operation["summary"], &operation["description"]].map(line);
    let _infallible = writeln!(text, "{}", said.join(" ").trim());
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let told = parameters.iter().filter(|one| one["name"] != "Idempotency-Key");
    let told: Vec<_> = told.filter(|one| one["in"] != "path" || one["name"] != "id").collect();
    if !told.is_empty() {
        text.push_str("\n| parameter | in | type | |\n|---|---|---|---|\n");
    }
    for one in told {
        let must = if one["required"] == true { "required. " } else { "" };
        let (name, place) = (line(&one["name"]), line(&one["in"]));
        let said = format!("{must}{}", line(&one["description"]));
        let _infallible =
            writeln!(text, "| `{name}` | {place} | {} | {} |", kind(&one["schema"]), said.trim());
    }
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        let kinds =
            content.iter().map(|(media, one)| format!("{} (`{media}`)", kind(&one["schema"])));
        let _infallible = write!(text, "\nBody: {}.\n", kinds.collect::<Vec<_>>().join(", "));
    }
    let mut answers = Vec::new();
    for (status, answer) in operation["responses"].as_object().expect("responses") {
        if status.ends_with("XX") {
            continue;
        }
        let content = answer["content"].as_object().into_iter().flatten().next();
        let what = content.map_or("nothing".to_owned(), |(_, one)| kind(&one["schema"]));
        answers.push(format!("{status} {what}"));
    }
    let _infallible = write!(text, "\nAnswers: {}; otherwise a problem.\n", answers.join(", "));
}

/// A schema's type in a few characters, with a link where it has a name.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[choice].as_array() {
            let all: Vec<_> = all.iter().map(kind).collect();
            return all.join(" or ");
        }
    }
    let items = || kind(&schema["items"]);
    match &schema["type"] {
        Value::String(one) if one == "array" => format!("list of {}", items()),
        Value::String(one) => one.clone(),
        Value::Array(all) => {
            let named = |one: &Value| {
                if one == "array" { format!("list of {}", items()) } else { line(one) }
            };
            all.iter().map(named).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn body(text: &mut String, name: &str, schema: &Value) {
    let _infallible = write!(text, "\n### {name}\n\n{}\n", line(&schema["description"]));
    let Some(properties) = schema["properties"].as_object() else { return };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    text.push_str("\n| field | type | |\n|---|---|---|\n");
    for (field, one) in properties {
        let mark = if required.iter().any(|name| name == field) { "" } else { " (optional)" };
        let _infallible =
            writeln!(text, "| `{field}` | {}{mark} | {} |", kind(one), line(&one["description"]));
    }
}
