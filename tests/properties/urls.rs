//! Connection URLs: read strictly, and never repeated.

use proptest::prelude::*;
use wardgate::base::{ConnectionRecord, parse_connection_url};

use crate::{damage, edits, holds};

const PIECES: &[&str] = &[
    "postgres://",
    "mysql://",
    "sqlite:",
    "@",
    ":",
    "/",
    "?",
    "&",
    "=",
    "#",
    "%",
    "%00",
    "%2F",
    "%40",
    "%ff",
    "//",
    "..",
    "[::1]",
    "127.0.0.1",
    "0x7f.1",
    "localhost",
    "tls=verify-full",
    "tls=loopback-plaintext",
    "host=",
    "sslmode=disable",
    "options=-c",
    ",",
    "\u{0}",
    "\r\n",
    " ",
    "é",
    "\u{202e}",
];

const SEEDS: [&str; 5] = [
    "postgres://reader:secretword@db.hospital.example:5432/emr?tls=verify-full",
    "mysql://reader:secretword@10.0.0.7:3306/emr",
    "sqlite:hospital.db",
    "postgres://reader:p%40ss%2Fsecretword@[2001:db8::1]:5433/emr",
    "mysql://reader:secretword@127.0.0.1:3306/emr?tls=loopback-plaintext",
];

#[test]
fn a_damaged_url_is_refused_or_whole_and_never_repeated() {
    let inputs =
        (proptest::sample::select(&SEEDS[..]), proptest::collection::vec(edits(PIECES), 0..6));
    holds(&inputs, |(seed, edits)| {
        let mut bytes = seed.as_bytes().to_vec();
        damage(&mut bytes, &edits);
        let text = String::from_utf8_lossy(&bytes);
        match parse_connection_url(&text) {
            Err(fault) => {
                let shown = format!("{fault} {fault:?} {}", fault.hint());
                prop_assert!(!shown.contains("secretword"), "{}", shown);
            }
            Ok(record) => {
                let shown = format!("{record:?}");
                prop_assert!(!shown.contains("secretword"), "{}", shown);
                sound(&record)?;
                // What is sealed is what was read.
                let back = ConnectionRecord::from_plaintext(&record.to_plaintext());
                prop_assert!(back.is_ok_and(|back| back.to_plaintext() == record.to_plaintext()));
            }
        }
        Ok(())
    });
}

/// What everything that follows relies on.
fn sound(record: &ConnectionRecord) -> Result<(), TestCaseError> {
    match record {
        ConnectionRecord::Server(server) => {
            prop_assert!(server.port > 0);
            for part in [&server.host, &server.user, &server.database] {
                prop_assert!(!part.is_empty() && !part.contains(char::is_control));
            }
            prop_assert!(!server.host.contains(['/', '@', ',', ' ', '%', '\\']));
            prop_assert!(!server.password.expose().is_empty());
        }
        ConnectionRecord::Sqlite(_) => {
            let plain =
                serde_json::from_slice::<serde_json::Value>(&record.to_plaintext()).unwrap();
            let name = plain["file"].as_str().unwrap_or_default();
            // Below the configured folder.
            let inside = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\\');
            prop_assert!(name.split('/').all(inside), "{}", name);
        }
    }
    Ok(())
}

#[test]
fn any_text_is_answered() {
    holds(&"\\PC{0,200}", |text: String| {
        let _read_or_refused = parse_connection_url(&text);
        Ok(())
    });
}
