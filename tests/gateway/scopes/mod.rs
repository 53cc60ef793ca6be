//! Every interaction with every scope and role taken away in turn, against the table of `docs/SCOPES.md`:
//! who lacks the scope of a type learns nothing of it, by whatever door.

mod requests;
mod world;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use self::requests::{Doing, interactions};
use self::world::{TYPES, World};
use crate::support::Reply;

const PAGE: &str = include_str!("../../../docs/SCOPES.md");
const BOTH: [&str; 2] = ["fhir-read", "fhir-write"];

/// One right: a letter of `cruds` on a type.
type Atom = (String, char);

fn atoms(text: &str) -> BTreeSet<Atom> {
    let atom = |word: &str| {
        let (ty, letter) = word.split_once('.').unwrap_or_else(|| panic!("{word} is no right"));
        assert!(TYPES.contains(&ty) && letter.len() == 1, "{word}");
        (ty.to_owned(), letter.chars().next().unwrap())
    };
    text.split_whitespace().map(atom).collect()
}

fn all() -> BTreeSet<Atom> {
    let letters =
        |ty: &&str| "cruds".chars().map(|letter| ((*ty).to_owned(), letter)).collect::<Vec<_>>();
    TYPES.iter().flat_map(letters).collect()
}

/// A `scope` claim with these rights, in SMART's version 2.
fn scope(atoms: &BTreeSet<Atom>, context: &str) -> String {
    let one = |ty: &&str| {
        let has = |letter: &char| atoms.contains(&((*ty).to_owned(), *letter));
        let letters: String = "cruds".chars().filter(has).collect();
        (!letters.is_empty()).then(|| format!("{context}/{ty}.{letters}"))
    };
    TYPES.iter().filter_map(one).fold("openid".to_owned(), |all, one| format!("{all} {one}"))
}

const fn role(letter: char) -> &'static str {
    if matches!(letter, 'r' | 's') { BOTH[0] } else { BOTH[1] }
}

/// A row of the page: what it is called, what it needs, and what it shows of which only by a right.
struct Row {
    name: &'static str,
    needs: BTreeSet<Atom>,
    shows: BTreeSet<Atom>,
}

fn rows() -> Vec<Row> {
    let cells = |line: &'static str| -> Vec<&'static str> {
        line.trim_matches('|').split('|').map(str::trim).collect()
    };
    let of = |line| {
        let cells = cells(line);
        let [name, needs, shows] = cells[..] else { panic!("{line}") };
        Row { name, needs: atoms(needs), shows: atoms(shows) }
    };
    PAGE.lines().skip_while(|line| !line.starts_with("|---|---|---|")).skip(1).map(of).collect()
}

#[test]
fn the_page_has_a_row_for_every_interaction_and_none_beside() {
    let named: Vec<&str> = rows().iter().map(|row| row.name).collect();
    let tried: Vec<&str> = interactions().iter().map(|one| one.name).collect();
    assert_eq!(named, tried);
}

/// The canaries of types in a body.
fn shown(body: &str) -> BTreeSet<String> {
    let there = |ty: &&&str| body.contains(&format!("canary{}", ty.to_lowercase()));
    TYPES.iter().filter(there).map(|ty| (*ty).to_owned()).collect()
}

struct Case<'r> {
    row: &'r Row,
    doing: &'r Doing,
}

impl Case<'_> {
    /// What is refused says nothing; `lacking` is for the message.
    fn refused(&self, reply: &Reply, lacking: &str) {
        let name = self.row.name;
        assert_eq!(reply.status, 403, "{name} without {lacking}: {reply:?}");
        let seen = shown(&reply.body);
        assert!(seen.is_empty(), "{name} without {lacking} tells of {seen:?}: {reply:?}");
    }

    fn done(&self, reply: &Reply, holding: &str) {
        let name = self.row.name;
        assert!((200..300).contains(&reply.status), "{name} with {holding}: {reply:?}");
    }

    async fn without(&self, world: &World, atom: &Atom) {
        let lacking = format!("{}.{}", atom.0, atom.1);
        let mut rights = all();
        rights.remove(atom);
        let token = world.token(&BOTH, &scope(&rights, "user"));
        let reply = self.doing.run(world, &token).await;
        if self.row.needs.contains(atom) {
            return self.refused(&reply, &lacking);
        }
        self.done(&reply, &format!("all but {lacking}"));
        let seen = shown(&reply.body);
        assert!(!seen.contains(&atom.0), "{} without {lacking}: {reply:?}", self.row.name);
    }
}

#[tokio::test]
async fn what_is_taken_away_refuses_or_leaves_out_and_changes_nothing() {
    let world = World::start().await;
    let before = world.dump().await;
    let (rows, tried) = (rows(), interactions());
    for (row, doing) in rows.iter().zip(&tried).filter(|(row, _)| !row.needs.is_empty()) {
        let case = Case { row, doing: &doing.doing };
        for atom in &row.needs {
            case.without(&world, atom).await;
        }
        let roles: BTreeSet<&str> = row.needs.iter().map(|(_, letter)| role(*letter)).collect();
        for lacking in roles {
            let others: Vec<&str> = BOTH.into_iter().filter(|role| *role != lacking).collect();
            for claim in ["openid", "user/*.cruds", "user/*.* system/*.*"] {
                let reply = case.doing.run(&world, &world.token(&others, claim)).await;
                case.refused(&reply, lacking);
            }
        }
        // What gives nothing: other types, a patient's own scopes, conditions that are not understood.
        for claim in [
            "openid user/Device.cruds",
            "patient/*.cruds",
            "patient/Patient.* launch/patient",
            "openid launch/patient",
            "user/*.cruds?category=laboratory",
            "user/patient.cruds",
        ] {
            let reply = case.doing.run(&world, &world.token(&BOTH, claim)).await;
            case.refused(&reply, claim);
        }
    }
    assert_eq!(world.dump().await, before, "something that was refused was done");
}

#[tokio::test]
async fn what_is_left_out_is_left_out_and_what_is_needed_is_enough() {
    let world = World::start().await;
    for (row, tried) in rows().iter().zip(&interactions()) {
        let case = Case { row, doing: &tried.doing };
        for atom in row.shows.difference(&row.needs) {
            case.without(&world, atom).await;
        }
        // Nothing more than the row says, in every context and version.
        for context in ["user", "system"] {
            let claim = scope(&row.needs.union(&row.shows).cloned().collect(), context);
            let reply = case.doing.run(&world, &world.token(&BOTH, &claim)).await;
            case.done(&reply, &claim);
            for (ty, _) in &row.shows {
                assert!(shown(&reply.body).contains(ty), "{} with {claim}: {reply:?}", row.name);
            }
        }
        for claim in ["openid profile", "user/*.*", "user/*.read user/*.write", "system/*.cruds"] {
            let reply = case.doing.run(&world, &world.token(&BOTH, claim)).await;
            case.done(&reply, claim);
        }
    }
}

#[tokio::test]
async fn whoever_may_only_write_is_told_nothing_of_what_was_there() {
    let world = World::start().await;
    let token = world.token(&BOTH, "user/*.cud");
    let body = World::patient(7, "renamed");
    let put = world.send(&token, Method::PUT, "/Patient/7", &[], &body).await;
    assert_eq!((put.status, put.body.as_str()), (200, ""), "{put:?}");
    let gone = world.send(&token, Method::DELETE, "/Patient/8", &[], &Value::Null).await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""), "{gone:?}");
    for path in ["/Patient/9", "/Patient", "/Patient/9/$everything", "/$export", "/metadata"] {
        let refused = world.send(&token, Method::GET, path, &[], &Value::Null).await;
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
    }
}

#[tokio::test]
async fn the_discovery_document_names_scopes_that_count_and_no_others() {
    let world = World::start().await;
    let url = format!("{}/.well-known/smart-configuration", world.gateway.fhir);
    let document = Reply::of(world.gateway.http.get(url)).await.unwrap().json();
    let scopes: Vec<&str> = document["scopes_supported"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s.as_str().unwrap())
        .collect();
    for version in ["user/*.write", "user/*.cud", "system/*.write", "user/*.cruds", "user/*.rs"] {
        assert!(scopes.contains(&version), "{document}");
    }
    for scope in scopes.iter().filter(|scope| scope.contains('/')) {
        let token = world.token(&BOTH, scope);
        let read = world.send(&token, Method::GET, "/Patient/3", &[], &Value::Null).await;
        let written =
            world.send(&token, Method::PUT, "/Patient/3", &[], &World::patient(3, "again")).await;
        let (_, letters) = scope.split_once('.').unwrap();
        let reads = ["read", "*", "rs", "cruds"].contains(&letters);
        let writes = ["write", "*", "cud", "cruds"].contains(&letters);
        assert_eq!((read.status == 200, written.status == 200), (reads, writes), "{scope}");
    }
}

#[tokio::test]
async fn an_order_is_its_givers_and_her_applications_alone() {
    let world = World::start().await;
    let own = world.token(&BOTH, "openid");
    let later = [("prefer", "respond-async".to_owned())];
    let ordered = world.send(&own, Method::GET, "/$export", &later, &Value::Null).await;
    let place = ordered.header("content-location").rsplit_once("/fhir").unwrap().1.to_owned();
    let fetch = async |token: &str| {
        let file = format!("{place}/Patient.ndjson");
        let manifest = world.send(token, Method::GET, &place, &[], &Value::Null).await.status;
        (manifest, world.send(token, Method::GET, &file, &[], &Value::Null).await.status)
    };
    assert_eq!(fetch(&own).await, (200, 200));
    for (claim, value) in [("azp", "other-app"), ("sub", "0b4f1f3e-6f3c-4a52-9a0b-3d0f8b1f2c12")] {
        let other = world.token_with(&BOTH, "openid", |claims| claims[claim] = value.into());
        let read = world.send(&other, Method::GET, "/Patient/3", &[], &Value::Null).await;
        assert_eq!(read.status, 200, "positive control: {read:?}");
        assert_eq!(fetch(&other).await, (404, 404), "another {claim}");
    }
}
