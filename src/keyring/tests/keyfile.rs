use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::support::{KEK_TEXT, kek};
use crate::base::SecretText;
use crate::keyring::keyfile::KekSet;
use crate::keyring::{FileKeys, HeldKeys, KekFault, KeyFileFault, KeySource as _};

fn file(mode: u32, text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kek");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (dir, path)
}

#[test]
fn only_a_file_nobody_else_can_read_is_read() {
    for mode in [0o600, 0o400] {
        let (_dir, path) = file(mode, KEK_TEXT);
        assert!(FileKeys::open(&path).is_ok(), "{mode:o}");
    }
    for mode in [0o644, 0o640, 0o604, 0o660, 0o606, 0o700, 0o500, 0o200, 0o000, 0o4600, 0o1600] {
        let (_dir, path) = file(mode, KEK_TEXT);
        // Modes without the owner's read bit fail earlier unless the tests run as root.
        let fault = FileKeys::open(&path).err().unwrap();
        assert!(
            matches!(fault, KekFault::File(KeyFileFault::Exposed { .. } | KeyFileFault::Io { .. })),
            "{mode:o}: {fault}"
        );
    }
    let (dir, _) = file(0o600, KEK_TEXT);
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    for path in [dir.path().to_owned(), dir.path().join("absent")] {
        assert!(FileKeys::open(&path).is_err());
    }
}

#[test]
fn a_file_of_another_user_is_refused() {
    let (_dir, path) = file(0o600, KEK_TEXT);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
        let fault = FileKeys::open(&path).err().unwrap();
        assert!(fault.to_string().contains("owner 12345"), "{fault}");
    } else {
        // Without the right to give files away, the system's own files stand in: root's are accepted
        // by owner, so the mode must be what refuses them.
        let fault = FileKeys::open(std::path::Path::new("/etc/passwd")).err().unwrap();
        assert!(fault.to_string().contains("mode"), "{fault}");
    }
}

#[test]
fn the_text_is_parsed_strictly() {
    let a = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let b = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    let h = "wardgate-kek-file v1";
    let long = "x".repeat(33);
    for good in [
        format!("{h}\na {a} current\n"),
        format!("{h}\na {a} current"),
        format!("{h}\na {a}\nb {b} current\n"),
    ] {
        let set = KekSet::parse(&good).map_err(|fault| fault.to_string()).unwrap();
        let again = set.to_text();
        assert_eq!(again.trim_end(), good.trim_end());
    }
    for bad in [
        String::new(),
        h.to_owned(),
        format!("{h}\n"),
        format!("a {a} current\n"),
        format!("wardgate-kek-file v2\na {a} current\n"),
        format!("{h} \na {a} current\n"),
        format!("\u{feff}{h}\na {a} current\n"),
        format!("{h}\r\na {a} current\r\n"),
        format!("{h}\n\na {a} current\n"),
        format!("{h}\na {a} current\n\n"),
        format!("{h}\n# a note\na {a} current\n"),
        format!("{h}\na {a}\n"),
        format!("{h}\na {a} current\nb {b} current\n"),
        format!("{h}\na {a} current\na {b}\n"),
        format!("{h}\na {a} current\nb {a}\n"),
        format!("{h}\na  {a} current\n"),
        format!("{h}\n a {a} current\n"),
        format!("{h}\na {a} current \n"),
        format!("{h}\na {a} CURRENT\n"),
        format!("{h}\na {a} current current\n"),
        format!("{h}\na\t{a}\tcurrent\n"),
        format!("{h}\nA {a} current\n"),
        format!("{h}\na_b {a} current\n"),
        format!("{h}\n{long} {a} current\n"),
        format!("{h}\na current\n"),
        format!("{h}\na {} current\n", a.trim_end_matches('=')),
        format!("{h}\na {} current\n", &a[4..]),
        format!("{h}\na AAAA{a} current\n"),
        format!("{h}\na {} current\n", a.replace("Hh8=", "Hh9=")),
        format!("{h}\na {} current\n", a.replace('A', "-")),
        format!("{h}\na {}A= current\n", "A".repeat(42)),
    ] {
        let fault = KekSet::parse(&bad).err();
        let Some(fault) = fault else { panic!("accepted {bad:?}") };
        let shown = fault.to_string();
        assert!(!shown.contains(&a[..8]) && !shown.contains(&b[..8]), "{shown}");
    }
}

#[test]
fn one_key_alone_is_enough_in_the_environment() {
    let alone = SecretText::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n".to_owned());
    assert!(HeldKeys::from_environment(&alone).is_ok());
    assert!(HeldKeys::from_environment(&SecretText::new(KEK_TEXT.to_owned())).is_ok());
    for bad in ["", "hunter2", "AAEC"] {
        assert!(HeldKeys::from_environment(&SecretText::new(bad.to_owned())).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn rotation_replaces_the_file_as_a_whole() {
    let (dir, path) = file(0o400, KEK_TEXT);
    // What a crash between creating and renaming leaves behind.
    fs::write(dir.path().join("kek.new"), "half").unwrap();
    // A second process with the same file.
    let (mine, other) = (FileKeys::open(&path).unwrap(), FileKeys::open(&path).unwrap());
    mine.add(kek("third")).await.unwrap();
    other.add(kek("fourth")).await.unwrap();
    mine.set_current(kek("fourth")).await.unwrap();
    assert_eq!(other.current().await.unwrap(), kek("fourth"));
    assert_eq!(mine.ids().await.unwrap().len(), 4, "neither process lost the other's key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");

    assert!(mine.add(kek("third")).await.is_err(), "exists");
    assert!(mine.add(kek("Bad Id")).await.is_err());
    assert!(mine.set_current(kek("absent")).await.is_err());
    assert!(mine.destroy(kek("fourth")).await.is_err(), "current");
    mine.destroy(kek("old")).await.unwrap();
    assert!(!other.ids().await.unwrap().contains(&kek("old")));
}

#[tokio::test]
async fn a_link_to_the_file_stays_a_link() {
    let (dir, path) = file(0o600, KEK_TEXT);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    FileKeys::open(&link).unwrap().add(kek("third")).await.unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(FileKeys::open(&path).unwrap().ids().await.unwrap().len(), 3);
}

#[test]
fn a_new_file_never_takes_the_place_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kek");
    assert!(FileKeys::create(&path, kek("first")).is_ok());
    let before = fs::read(&path).unwrap();
    assert!(FileKeys::create(&path, kek("first")).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
}
