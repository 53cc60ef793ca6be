//! The tutorial, command by command, as it stands in the page.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PAGE: &str = include_str!("../docs/mapping/TUTORIAL.md");

/// The running demo that the page asks for.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn demo(folder: &Path) -> Demo {
    let mut process = Command::new(env!("CARGO_BIN_EXE_wardgate"))
        .args(["demo", "--json", "--fhir-port", "0", "--admin-port", "0"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("\"fhir\""), "{line}");
    Demo(process)
}

/// What a block of the page prints; it must succeed.
fn run(block: &str, folder: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_wardgate")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", program.display());
    let done = Command::new("bash")
        .args(["-euo", "pipefail", "-c", block])
        .env_clear()
        .env("PATH", path)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let complained = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{block}\n{said}\n{complained}");
    said + &complained
}

#[test]
fn every_command_of_the_tutorial_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let _demo = demo(folder.path());
    let blocks = PAGE.split("\n```sh\n").skip(1);
    let blocks: Vec<&str> = blocks.map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(blocks.len() >= 10, "{}", blocks.len());
    let mut said = Vec::new();
    for block in blocks {
        said.push((block, run(block, folder.path())));
    }
    let of = |part: &str| {
        let found = said.iter().filter(|(block, _)| block.contains(part));
        found.map(|(_, said)| said.as_str()).collect::<String>()
    };
    assert!(of("mapping draft").contains("Patient from pacientes"), "{}", of("mapping draft"));
    let checked = of("mapping check sur sur.yaml");
    assert!(checked.contains("the mapping is sound"), "{checked}");
    assert!(
        checked.contains("1 of 6 cells do not fit Patient.birthDate (fec_nacimiento)"),
        "{checked}"
    );
    assert!(!checked.contains("31/02/1985"), "{checked}");
    assert!(of("wrong.yaml").contains("'rut_paciente'"), "{}", of("wrong.yaml"));
    let resources = of("--rows 2");
    assert!(
        resources.contains("Muñoz-Ejemplo") && resources.contains("urn:oid:2.16.152.3.1"),
        "{resources}"
    );
    let numbers = of("mapping preview sur sur.yaml\n")
        + &said.iter().find(|(b, _)| b.ends_with("mapping preview sur sur.yaml")).unwrap().1;
    assert!(numbers.contains("Patient.name.family") && !numbers.contains("Muñoz"), "{numbers}");
    assert!(of("mapping diff").contains("Patient 'pacientes'"), "{}", of("mapping diff"));
    assert!(of("mapping publish").contains("stored as version 2"), "{}", of("mapping publish"));
    assert!(of("mapping rollback").contains("active: version 1"), "{}", of("mapping rollback"));
    assert!(of("mapping drift").contains("fits the database as it is"), "{}", of("mapping drift"));
}
