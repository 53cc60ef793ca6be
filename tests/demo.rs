//! The demo as a newcomer runs it: started twice on one folder, three hospitals, one URL.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

struct Demo {
    process: Child,
    ready: Value,
}

impl Demo {
    fn start(dir: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_wardgate"))
            .args(["demo", "--json", "--fhir-port", "0", "--admin-port", "0", "--data-dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { process, ready: serde_json::from_str(&line).unwrap() }
    }

    fn url(&self, part: &str) -> &str {
        self.ready[part].as_str().unwrap()
    }

    async fn get(&self, user: &str, dir: &Path, path: &str) -> (u16, Value) {
        let made = Command::new(env!("CARGO_BIN_EXE_wardgate"))
            .args(["demo", "token", user, "--data-dir"])
            .arg(dir)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let token = String::from_utf8(made.stdout).unwrap();
        let request = reqwest::Client::new().get(path).bearer_auth(token.trim());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[tokio::test]
async fn servers_that_are_allowed_stand_in_the_settings_of_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let start = |rule: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardgate"));
        command
            .args(["demo", "--json", "--fhir-port", "0", "--admin-port", "0", "--allow", rule])
            .arg("--data-dir")
            .arg(dir.path());
        command
    };
    let refused = start("anywhere").output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("--allow"), "{said}");
    let mut process = start("192.0.2.7/32:5432").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let _demo = Demo { process, ready: serde_json::from_str(&line).unwrap() };
    let settings = std::fs::read_to_string(dir.path().join("wardgate.toml")).unwrap();
    assert!(settings.contains("allow = [\"192.0.2.7/32:5432\"]"), "{settings}");
}

#[tokio::test]
async fn a_second_demo_on_one_folder_is_refused_and_the_first_one_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Demo::start(dir.path());
    let second = Command::new(env!("CARGO_BIN_EXE_wardgate"))
        .args(["demo", "--fhir-port", "0", "--admin-port", "0", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{why}");
    assert!(why.contains("a demo is running on that folder already"), "{why}");
    let patients = format!("{}/Patient", demo.url("fhir"));
    let (status, _) = demo.get("reader.north", dir.path(), &patients).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn three_hospitals_are_served_at_the_first_and_at_the_second_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut issuer = String::new();
    for start in 0..2 {
        let demo = Demo::start(dir.path());
        // What somebody bound a hospital of their own to counts on.
        assert!(start == 0 || issuer == demo.url("issuer"), "the issuer moved from {issuer}");
        demo.url("issuer").clone_into(&mut issuer);
        let fhir = demo.url("fhir");
        // Rows in the files, without the one that is marked as deleted.
        for (hospital, patients, observations) in [("north", 8, 10), ("sur", 6, 6), ("lakes", 5, 7)]
        {
            let reader = format!("reader.{hospital}");
            for (ty, expected) in [("Patient", patients), ("Observation", observations)] {
                let (status, found) = demo.get(&reader, dir.path(), &format!("{fhir}/{ty}")).await;
                let count = found["entry"].as_array().map_or(0, Vec::len);
                assert_eq!((status, count), (200, expected), "{hospital} {ty}: {found}");
            }
        }
        let (status, _) =
            demo.get("reader.north", dir.path(), &format!("{fhir}/Patient/L0001")).await;
        assert_eq!(status, 404);
        let (status, _) = demo.get("writer.north", dir.path(), &format!("{fhir}/Patient/1")).await;
        assert_eq!(status, 403);
        let munoz = format!("{fhir}/Patient?family=munoz");
        let (_, found) = demo.get("reader.sur", dir.path(), &munoz).await;
        assert_eq!(found["entry"][0]["resource"]["birthDate"], "1985-03-05");
        let tenants = format!("{}/admin/v1/tenants", demo.url("admin"));
        let (status, listed) = demo.get("operator", dir.path(), &tenants).await;
        assert_eq!((status, listed["tenants"].as_array().unwrap().len()), (200, 3));
    }
}
