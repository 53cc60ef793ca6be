//! What must hold for any input, tried with many: connection URLs, bearer headers and tokens, mapping
//! documents, FHIR queries, sealed records, access logs. (Page cursors need a running gateway and are in
//! `tests/gateway/cursors.rs`.)
//!
//! 256 cases each; `PROPTEST_CASES=100000 cargo test --test properties` tries more. A failing case is
//! printed in its smallest form.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests stop at a surprise")]

#[expect(unused, reason = "made for the tests of tokens")]
#[path = "../support/directory.rs"]
mod directory;
#[expect(unused, reason = "made for the tests of tokens")]
#[path = "../support/idp.rs"]
mod idp;

mod logs;
mod mappings;
mod queries;
#[path = "../search_model/mod.rs"]
mod search_model;
mod seals;
mod searches;
mod tokens;
mod urls;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

/// Tries a property. The number of cases follows `PROPTEST_CASES`.
fn holds<S: Strategy>(inputs: &S, property: impl Fn(S::Value) -> TestCaseResult) {
    let config = Config { failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(inputs, property);
    assert!(
        outcome.is_ok(),
        "{}",
        outcome.err().map(|failure| failure.to_string()).unwrap_or_default()
    );
}

/// A change of a text or of bytes, placed by a number wherever the length lets it.
#[derive(Debug, Clone)]
enum Edit {
    Remove(usize, usize),
    Repeat(usize, usize),
    Move(usize, usize, usize),
    Put(usize, Vec<u8>),
    Flip(usize, u8),
    Cut(usize),
}

/// Any edit, with pieces that mean something to the format among what is put in.
fn edits(pieces: &'static [&'static str]) -> impl Strategy<Value = Edit> {
    use proptest::prelude::*;
    let at = any::<usize>;
    let piece = prop_oneof![
        proptest::sample::select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 1..8),
    ];
    prop_oneof![
        (at(), 1_usize..40).prop_map(|(at, length)| Edit::Remove(at, length)),
        (at(), 1_usize..40).prop_map(|(at, length)| Edit::Repeat(at, length)),
        (at(), 1_usize..40, at()).prop_map(|(at, length, to)| Edit::Move(at, length, to)),
        (at(), piece).prop_map(|(at, piece)| Edit::Put(at, piece)),
        (at(), 0_u8..8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        at().prop_map(Edit::Cut),
    ]
}

/// Makes these changes, one after the other.
fn damage(bytes: &mut Vec<u8>, edits: &[Edit]) {
    for edit in edits {
        edit.apply(bytes);
    }
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: usize| if bytes.is_empty() { 0 } else { at % bytes.len() };
        let range = |at: usize, length: usize| {
            let from = place(at);
            from..(from + length).min(bytes.len())
        };
        match *self {
            Self::Remove(at, length) => drop(bytes.drain(range(at, length))),
            Self::Repeat(at, length) => {
                let range = range(at, length);
                let (to, piece) = (range.end, bytes[range].to_vec());
                bytes.splice(to..to, piece);
            }
            Self::Move(at, length, to) => {
                let piece: Vec<u8> = bytes.drain(range(at, length)).collect();
                let to = if bytes.is_empty() { 0 } else { to % bytes.len() };
                bytes.splice(to..to, piece);
            }
            Self::Put(at, ref piece) => {
                let at = place(at);
                bytes.splice(at..at, piece.iter().copied());
            }
            Self::Flip(at, bit) => {
                let at = place(at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Cut(at) => {
                let at = place(at);
                bytes.truncate(at);
            }
        }
    }
}
