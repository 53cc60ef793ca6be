//! The command line on the gateway's own machine: its words, its documents, its exit status.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Gateway, Options, TestIssuer, sqlite_hospital};
use crate::world;

/// Runs a command over the gateway's settings; `input` is its standard input.
pub fn run(gateway: &Gateway, words: &[&str], input: &str) -> Output {
    let usual = gateway.folder().join("wardgate.toml").display().to_string();
    let own = if words.contains(&"--config") { vec![] } else { vec!["--config", &usual] };
    let mut child = Command::new(env!("CARGO_BIN_EXE_wardgate"))
        .env_clear()
        .args(words)
        .args(own)
        .current_dir(gateway.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run the program");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The one JSON document on standard output, and whether the command did what was asked.
fn document(gateway: &Gateway, words: &[&str], input: &str) -> (Value, bool) {
    let done = run(gateway, &[&["--json"], words].concat(), input);
    let text = String::from_utf8(done.stdout).unwrap();
    let value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{words:?}: {text:?}"));
    assert!(matches!(done.status.code(), Some(0 | 1)), "{words:?}");
    (value, done.status.success())
}

#[tokio::test]
async fn what_was_mistyped_or_forgotten_is_told_as_that() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let says = |words: &[&str], input: &str| {
        let done = run(&gateway, words, input);
        let said = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (done.status.code().unwrap(), said)
    };
    let known = issuer.hospitals();
    let add = ["tenant", "add", "south", "--claim", "south", "--azp", "app", "--no-check", "-"];
    let (code, said) =
        says(&[&add[..], &["--issuer", &format!("{known}/")]].concat(), "sqlite:s.db");
    assert!(code == 0 && said.contains("no [[issuers]] url of these settings"), "{said}");
    let add = ["tenant", "add", "west", "--claim", "west", "--azp", "app", "--no-check", "-"];
    let (code, said) = says(&[&add[..], &["--issuer", &known]].concat(), "sqlite:w.db");
    assert!(code == 0 && !said.contains("[[issuers]]"), "{said}");
    for (words, status, part, none) in [
        (&["keys", "init"][..], 0, "nothing was made", "made key"),
        (&["tenant", "offboard", "nobody"], 1, "`wardgate tenant list`", "--confirm"),
        (&["audit", "verify", "nobody"], 1, "`wardgate tenant list`", "panicked"),
        (&["audit", "export", "nobody"], 1, "`wardgate tenant list`", "panicked"),
        (&["tenant", "migrate", "--all", "--dry-run"], 0, "0 hospitals to release", "first"),
        (&["tenant", "lst"], 2, "'list'", "panicked"),
    ] {
        let (code, said) = says(words, "");
        let fits = code == status && said.contains(part) && !said.contains(none);
        assert!(fits, "{words:?}: {code} {said}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    for verb in [&["serve"][..], &["config", "check"]] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_wardgate"));
        let done = program.env_clear().args(verb).current_dir(elsewhere.path()).output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.contains("no settings file was read") && said.contains("--config"), "{said}");
        assert_eq!(done.status.code(), Some(1), "{said}");
    }
}

#[tokio::test]
async fn every_command_answers_with_one_document_also_when_it_fails() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let good = |words: &[&str]| {
        let (document, done) = document(&gateway, words, "");
        assert!(done, "{words:?}: {document}");
        document
    };
    assert_eq!(good(&["config", "check"]), json!({ "ok": true }));
    assert!(good(&["config", "show"]).as_array().unwrap().len() > 30);
    assert_eq!(good(&["registry", "status"])["registry"]["pending"], json!([]));
    let keys = good(&["keys", "list"]);
    assert_eq!((&keys["keks"][0]["current"], &keys["unreferenced"]), (&json!(true), &json!(0)));
    let checked = json!({ "data_keys": 1, "records": 1, "faults": 0, "unreferenced": 0 });
    assert_eq!(good(&["keys", "check"]), checked);
    assert_eq!(good(&["keys", "rotate"])["unreadable"], 0);
    assert_eq!(good(&["keys", "rotate", "--data-keys"])["changed"], 1);
    assert_eq!(good(&["keys", "check"])["unreferenced"], 1, "the one that was replaced");
    assert_eq!(good(&["tenant", "list"])[0]["name"], "north");
    let shown = good(&["tenant", "show", "north"]);
    assert_eq!((&shown["state"], &shown["damaged"]), (&json!("active"), &Value::Null));
    assert_eq!(good(&["tenant", "suspend", "north", "--reason", "test"])["state"], "suspended");
    assert_eq!(good(&["tenant", "resume", "north"])["state"], "active");
    assert!(good(&["tenant", "invalidate", "north"])["generation"].is_u64());
    assert_eq!(good(&["tenant", "check", "north"])["ok"], true);
    assert_eq!(gateway.get(&issuer.token("north"), "/Patient/1001").await.status, 200);
    // The gateway adds up what it counted before it shows it; the command line reads what is added up.
    gateway.view("tenants/north/usage").await;
    let used = good(&["tenant", "usage", "north"]);
    assert_eq!((&used[0]["name"], &used[0]["requests"]), (&json!("north"), &json!(1)), "{used}");
    // By its month, which may be over by now.
    let month = used[0]["month"].as_str().unwrap();
    assert_eq!(good(&["tenant", "usage", "--month", month]), used);
    assert!(used[1].is_null());
    assert_eq!(good(&["tenant", "usage", "--month", "1999-12"]), json!([]));
    let set = ["--set", "page_size=2", "--set", "page_size_max=20", "--set", "export_jobs=1"];
    let limits = good(&[&["tenant", "limits", "north"][..], &set].concat());
    assert_eq!(limits, json!({ "page_size": 2, "page_size_max": 20, "export_jobs": 1 }));
    let rest =
        good(&["tenant", "limits", "north", "--unset", "page_size_max", "--unset", "export_jobs"]);
    assert_eq!(
        (&rest, good(&["tenant", "limits", "north"])),
        (&json!({ "page_size": 2 }), rest.clone())
    );
    let flags =
        good(&["tenant", "flags", "north", "--set", "fhir.export=25%", "--set", "fhir.write=off"]);
    assert_eq!((&flags["fhir.export"], &flags["fhir.write"]), (&json!("25%"), &json!("off")));
    let flags = good(&["tenant", "flags", "north", "--unset", "fhir.write"]);
    assert_eq!((&flags["fhir.export"], &flags["fhir.write"]), (&json!("25%"), &json!("on")));
    assert_eq!(good(&["mapping", "list", "north"])[0]["active"], true);
    assert!(good(&["audit", "verify", "north"])["chains"].is_array());
    refused_within_seconds(&gateway, &issuer.token("north")).await;

    let bad = |words: &[&str], input: &str| {
        let (document, done) = document(&gateway, words, input);
        assert!(!done, "{words:?}: {document}");
        assert!(!document.to_string().contains("hunter2"));
        document
    };
    let unknown = bad(&["tenant", "show", "nobody"], "");
    assert_eq!((&unknown["ok"], &unknown["kind"]), (&json!(false), &json!("not_found")));
    assert!(unknown["problem"].is_string() && unknown["hint"].is_string(), "{unknown}");
    for words in [
        &["tenant", "check", "nobody"][..],
        &["keys", "rotate", "--drop", "nothing"],
        &["tenant", "limits", "north", "--set", "page_size"],
        &["tenant", "limits", "north", "--set", "page_size=0"],
        &["tenant", "limits", "north", "--set", "body_bytes=1"],
        &["tenant", "flags", "north", "--set", "fhir.read=off"],
        &["tenant", "flags", "north", "--set", "fhir.write=half"],
        &["mapping", "check", "north", "/nowhere.yaml"],
        &["mapping", "rollback", "nobody"],
        &["audit", "verify", "nobody"],
        &["--config", "/nowhere.toml", "tenant", "list"],
    ] {
        assert_eq!(bad(words, "")["ok"], false, "{words:?}");
    }
    let url = "postgres://u:hunter2@127.0.0.1:1/d";
    let refused = bad(&["tenant", "set-connection", "north", "-"], url);
    assert!(refused["hint"].as_str().unwrap().contains("egress"), "{refused}");
}

/// From the command line a gateway learns of it as all others do.
async fn refused_within_seconds(gateway: &Gateway, token: &str) {
    assert_eq!(gateway.get(token, "/Patient/1001").await.status, 200);
    let (refused, done) = document(gateway, &["tenant", "refuse-tokens", "north"], "");
    assert!(done && refused["tokens_since"].is_string(), "{refused}");
    let begun = std::time::Instant::now();
    while gateway.get(token, "/Patient/1001").await.status != 401 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "still let in");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_failed_check_shows_every_step_it_came_to() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let egress = vec!["127.0.0.1/32:1".to_owned()];
    let options = Options { egress, ..Options::default() };
    let gateway = world::hospitals(&issuer, &["north"], options).await;
    let url = "postgres://u:hunter2@127.0.0.1:1/d";
    let put = run(&gateway, &["tenant", "set-connection", "north", "-", "--no-check"], url);
    assert!(put.status.success(), "{put:?}");
    let (report, done) = document(&gateway, &["tenant", "check", "north"], "");
    let steps = report["steps"].as_array().unwrap();
    let told: Vec<_> =
        steps.iter().map(|s| (s["step"].as_str().unwrap(), s["outcome"] == "ok")).collect();
    assert_eq!(told, [("permit", true), ("resolve", true), ("connect", false)], "{report}");
    assert_eq!((done, &report["class"], &report["ok"]), (false, &json!("refused"), &json!(false)));
    assert!(steps.iter().all(|step| step["millis"].is_u64()) && report["hint"].is_string());
    let people = run(&gateway, &["tenant", "check", "north"], "");
    let text = String::from_utf8(people.stdout).unwrap();
    for word in ["permit", "resolve", "connect", "ms"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[tokio::test]
async fn hospitals_on_one_database_are_told_of_each_other() {
    let issuer = TestIssuer::for_tenants(&["north", "south"]).await;
    let gateway = world::hospitals(&issuer, &["north", "south"], Options::default()).await;
    let others = |found: &Value| found["same_database"].clone();
    assert_eq!(others(&gateway.view("tenants/north").await), Value::Null);
    let words = ["tenant", "set-connection", "north", "-"];
    let (put, done) = document(&gateway, &words, "sqlite:south.db");
    assert_eq!((done, others(&put)), (true, json!(["south"])), "{put}");
    assert_eq!(others(&gateway.view("tenants/south").await), json!(["north"]));
    let put = run(&gateway, &words, "sqlite:south.db");
    let text = String::from_utf8(put.stdout).unwrap();
    assert!(text.contains("WARNING     south: served from this very database"), "{text}");
    let words =
        ["tenant", "add", "third", "--issuer", "https://a.example", "--claim", "third", "--azp"];
    let added = run(&gateway, &[&words[..], &["ward-app", "-"]].concat(), "sqlite:south.db");
    let text = String::from_utf8(added.stdout).unwrap();
    assert!(text.contains("WARNING     north, south: served from"), "{text}");
    let (report, done) = document(&gateway, &["tenant", "check", "south"], "");
    let warned = report["findings"].as_array().unwrap().iter();
    let warned = warned.filter(|finding| finding["what"] == "other hospitals");
    let found: Vec<_> = warned.map(|finding| finding["found"].clone()).collect();
    assert_eq!((done, found), (true, vec![json!("north, third")]), "{report}");
    let (put, _) =
        document(&gateway, &["tenant", "set-connection", "north", "-"], "sqlite:north.db");
    assert_eq!(others(&put), Value::Null, "{put}");
}

#[tokio::test]
async fn hospitals_are_made_from_a_list() {
    let issuer = TestIssuer::for_tenants(&["north", "ward-1", "w-two"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let added = run(&gateway, &["server", "add", "folder", "--sqlite-folder"], "");
    assert!(added.status.success(), "{added:?}");
    let known = issuer.hospitals();
    let from = ["tenant", "provision", "--from", "-", "--on", "folder", "--azp", "ward-app"];
    let words = |more: &[&'static str]| [&from[..], &["--issuer", &known], more].concat();
    let orders = || document(&gateway, &["operation", "list"], "").0.as_array().unwrap().len();
    let bad = "ward-1\n\nnorth\nNot a slug\nprovision";
    for more in [&[][..], &["--dry-run"]] {
        let (refused, done) = document(&gateway, &words(more), bad);
        let said = refused["problem"].as_str().unwrap();
        for part in ["line 3: a tenant named north", "line 4: ", "line 5: that name is reserved"] {
            assert!(!done && said.contains(part), "{part}: {refused}");
        }
        assert!(!said.contains("line 1"), "{said}");
    }
    let (unread, _) = document(&gateway, &words(&[]), "ward-1,\"open");
    assert!(unread["problem"].as_str().unwrap().contains("line 1: a double quote"), "{unread}");
    let list = "name;Name for people;claim\nward-1\nward-2;Two;w-two\n";
    let (plan, done) = document(&gateway, &words(&["--dry-run"]), list);
    assert_eq!((done, &plan["tenants"][1]["display_name"]), (true, &json!("Two")), "{plan}");
    assert_eq!(orders(), 0, "looking over makes nothing");
    let (made, done) = document(&gateway, &words(&["--parallel", "2"]), list);
    assert_eq!((done, &made["state"]), (true, &json!("succeeded")), "{made}");
    assert_eq!(made["progress"]["tenants"]["succeeded"], 2, "{made}");
    assert_eq!(orders(), 1);
    for name in ["ward-1", "w-two"] {
        let read = gateway.get(&issuer.token(name), "/Patient").await;
        assert_eq!(read.status, 200, "{name}: {read:?}");
    }
    // One name or a list, never both.
    for (more, name) in [(&[][..], Some("ward-9")), (&["--display-name", "Nine"], None)] {
        let both = run(&gateway, &[&words(more)[..], name.as_slice()].concat(), list);
        assert_eq!(both.status.code(), Some(2), "{both:?}");
    }
}

/// One realm for each hospital: the issuer alone decides, whatever its tokens claim.
#[tokio::test]
async fn an_issuer_without_a_tenant_claim_is_bound_to_one_tenant() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    // Its tokens say "north", as if its administrator wished to be there.
    let own = TestIssuer::for_tenants(&["north"]).await;
    let settings = format!(
        "[[issuers]]\nurl = \"{}\"\naudience = \"wardgate-api\"\ntenant_claim = \"\"\n",
        own.hospitals()
    );
    let options = Options { settings, ..Options::default() };
    let gateway = world::hospitals(&issuer, &["north"], options).await;
    for (name, first) in [("lakes", 7001), ("other", 8001)] {
        let file = gateway.folder().join(format!("sqlite/{name}.db"));
        sqlite_hospital(&file, &format!("mark-{name}"), first..first + 5).await;
    }
    let token = own.token("north");
    let nobody = gateway.get(&token, "/Patient").await;
    assert_eq!(nobody.status, 403, "bound to nobody yet: {nobody:?}");

    let add = |name: &str, issuer: &str, more: &[&str]| {
        let words = ["tenant", "add", name, "--issuer", issuer, "--azp", "ward-app", "-"];
        document(&gateway, &[&words[..], more].concat(), &format!("sqlite:{name}.db"))
    };
    let (claimed, done) = add("lakes", &own.hospitals(), &["--claim", "lakes"]);
    assert!(!done, "a claim value nobody would look at: {claimed}");
    let (unclaimed, done) = add("lakes", &issuer.hospitals(), &[]);
    assert!(!done, "an issuer that names tenants by claim, bound as a whole: {unclaimed}");
    let (stranger, done) = add("lakes", "https://unknown.example/realms/x", &[]);
    assert!(!done, "{stranger}");
    let (added, done) = add("lakes", &own.hospitals(), &[]);
    assert!(done, "{added}");
    assert_eq!(added["identities"][0]["claim_value"], Value::Null);
    let (second, done) = add("other", &own.hospitals(), &[]);
    assert!(!done, "an issuer alone is bound to exactly one tenant: {second}");

    gateway.publish("lakes", &crate::support::mapping("1")).await;
    let mut found = None;
    for _ in 0..100 {
        let reply = gateway.get(&token, "/Patient").await;
        if reply.status == 200 {
            found = Some(reply);
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let found = found.expect("lakes is served within 10 s");
    assert!(found.body.contains("mark-lakes") && !found.body.contains("mark-north"), "{found:?}");
    let north = gateway.get(&issuer.token("north"), "/Patient").await;
    assert!(north.body.contains("mark-north") && !north.body.contains("mark-lakes"), "{north:?}");

    // The same through the API, where the claim value is left out.
    let identity = json!({ "issuer": own.hospitals(), "azp": ["ward-app"] });
    let body = json!({ "name": "third", "identities": [identity] }).to_string();
    let body = Some(("application/json", body));
    let third = gateway.operate(reqwest::Method::POST, "tenants", None, body).await;
    assert_eq!(third.status, 409, "{third:?}");
}

#[tokio::test]
async fn all_faults_of_the_settings_come_at_once() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    let file = gateway.folder().join("bad.toml");
    let text = "[fhir]\nlisen = \"x\"\n[registry]\nurl = \"sqlite:/r.db\"\n[keys]\nkek_file = \"/k\"\n\
                store = \"mongodb://u:hunter2@h\"\n[egress]\nallow = [\"10.0.0.0/8\", \"db:99999\"]\n";
    std::fs::write(&file, text).unwrap();
    let config = ["--config", file.to_str().unwrap()];
    let check = |words: &[&str]| document(&gateway, &[&config, words].concat(), "").0;
    let faults = check(&["config", "check"])["faults"].clone();
    let keys: Vec<_> =
        faults.as_array().unwrap().iter().map(|f| f["key"].as_str().unwrap()).collect();
    assert_eq!(
        keys,
        ["fhir.lisen", "audit.dir", "keys.store", "egress.allow", "egress.allow"],
        "{faults}"
    );
    assert!(faults.as_array().unwrap().iter().all(|f| !f["hint"].as_str().unwrap().is_empty()));
    assert!(!faults.to_string().contains("hunter2"));
    assert_eq!(
        check(&["tenant", "list"])["faults"],
        faults,
        "the same for whoever needs the settings"
    );
    std::fs::write(&file, "[registry\n").unwrap();
    let faults = check(&["config", "check"])["faults"].clone();
    assert_eq!(faults.as_array().unwrap().len(), 1, "nothing is called missing: {faults}");
}
