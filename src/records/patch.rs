//! JSON Patch (RFC 6902) on a resource as it is shown.

use super::fault::RecordsFault;
use crate::fhir::{Issue, Json};

/// Most operations in one patch.
const MAX_OPERATIONS: usize = 200;
/// Most that may be copied by one patch, in bytes of JSON: what is copied into itself doubles each time.
const MAX_COPIED: usize = 1024 * 1024;

const BROKEN: RecordsFault = RecordsFault::Request(
    "The patch is no JSON Patch: an array of operations with op, path and what goes with them.",
);

const TOO_MUCH: RecordsFault =
    RecordsFault::Request("The patch copies more than a megabyte; send the resource instead.");

const TOO_DEEP: RecordsFault =
    RecordsFault::Request("The patch puts values into one another more than 64 times.");

/// The resource is not as the patch takes it to be (RFC 5789, 2.2, "conflicting state").
fn conflict(message: &'static str) -> RecordsFault {
    RecordsFault::Collides(vec![Issue::new("conflict", "", message)])
}

fn nowhere() -> RecordsFault {
    conflict("A path of the patch leads nowhere in the resource as it stands.")
}

/// Carries a patch out on a resource; all of it or nothing.
pub(super) fn apply(resource: &Json, patch: &Json) -> Result<Json, RecordsFault> {
    let Json::List(operations) = patch else { return Err(BROKEN) };
    if operations.len() > MAX_OPERATIONS {
        return Err(RecordsFault::Request("The patch has more than 200 operations."));
    }
    let (mut tree, mut room) = (resource.clone(), MAX_COPIED);
    for operation in operations {
        let text = |name: &str| operation.get(name).and_then(Json::text).ok_or(BROKEN);
        let path = steps(text("path")?)?;
        let value = || operation.get("value").cloned().ok_or(BROKEN);
        let fits = |value: &Json| {
            if path.len() + value.depth() > Json::MAX_DEPTH { Err(TOO_DEEP) } else { Ok(()) }
        };
        match text("op")? {
            "add" => {
                let value = value()?;
                fits(&value)?;
                add(&mut tree, &path, value)?;
            }
            "remove" => drop(remove(&mut tree, &path)?),
            "replace" => {
                let value = value()?;
                fits(&value)?;
                *find(&mut tree, &path).ok_or_else(nowhere)? = value;
            }
            "copy" => {
                let from = steps(text("from")?)?;
                let value = find(&mut tree, &from).ok_or_else(nowhere)?;
                fits(value)?;
                room = room.checked_sub(size(value)).ok_or(TOO_MUCH)?;
                let value = value.clone();
                add(&mut tree, &path, value)?;
            }
            "move" => {
                let from = steps(text("from")?)?;
                if path.len() > from.len() && path.starts_with(&from) {
                    return Err(RecordsFault::Request("Nothing can be moved into itself."));
                }
                let value = remove(&mut tree, &from)?;
                fits(&value)?;
                add(&mut tree, &path, value)?;
            }
            "test" => {
                let value = value()?;
                if !same(find(&mut tree, &path).ok_or_else(nowhere)?, &value) {
                    return Err(conflict(
                        "A test of the patch does not hold; nothing was changed.",
                    ));
                }
            }
            _ => return Err(BROKEN),
        }
    }
    Ok(tree)
}

/// About how long a value is as JSON text.
fn size(value: &Json) -> usize {
    match value {
        Json::Null | Json::Bool(_) => 5,
        Json::Number(text) | Json::Text(text) => text.len() + 2,
        Json::List(items) => 2 + items.iter().map(|item| 1 + size(item)).sum::<usize>(),
        Json::Object(members) => {
            2 + members.iter().map(|(name, value)| name.len() + 4 + size(value)).sum::<usize>()
        }
    }
}

/// The steps of a pointer (RFC 6901).
fn steps(pointer: &str) -> Result<Vec<String>, RecordsFault> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let rest = pointer.strip_prefix('/').ok_or(BROKEN)?;
    // A tilde stands before 0 or 1 only (RFC 6901, 3).
    if rest.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) {
        return Err(BROKEN);
    }
    Ok(rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

/// An array's place: digits without a needless zero.
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with('0');
    (plain && step.bytes().all(|b| b.is_ascii_digit())).then(|| step.parse().ok())?
}

fn find<'t>(tree: &'t mut Json, path: &[String]) -> Option<&'t mut Json> {
    let mut at = tree;
    for step in path {
        at = match at {
            Json::Object(members) => members.iter_mut().find(|(n, _)| n == step).map(|(_, v)| v)?,
            Json::List(items) => items.get_mut(index(step)?)?,
            _ => return None,
        };
    }
    Some(at)
}

fn add(tree: &mut Json, path: &[String], value: Json) -> Result<(), RecordsFault> {
    let Some((last, before)) = path.split_last() else {
        *tree = value;
        return Ok(());
    };
    match find(tree, before).ok_or_else(nowhere)? {
        holder @ Json::Object(_) => holder.put(last, value),
        Json::List(items) => {
            let at = if last == "-" { items.len() } else { index(last).ok_or_else(nowhere)? };
            if at > items.len() {
                return Err(nowhere());
            }
            items.insert(at, value);
        }
        _ => return Err(nowhere()),
    }
    Ok(())
}

fn remove(tree: &mut Json, path: &[String]) -> Result<Json, RecordsFault> {
    let (last, before) = path.split_last().ok_or_else(nowhere)?;
    match find(tree, before).ok_or_else(nowhere)? {
        holder @ Json::Object(_) => holder.take(last).ok_or_else(nowhere),
        Json::List(items) => {
            let at = index(last).filter(|at| *at < items.len()).ok_or_else(nowhere)?;
            Ok(items.remove(at))
        }
        _ => Err(nowhere()),
    }
}

/// Equal as RFC 6902, 4.6 has it: members in any order.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(n, v)| b.get(n).is_some_and(|w| same(v, w)))
        }
        (Json::List(x), Json::List(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(v, w)| same(v, w))
        }
        (Json::Number(_), Json::Number(_)) => crate::mapping::shows(a, b),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(resource: &str, patch: &str) -> Option<String> {
        let parse = |text: &str| Json::parse(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        apply(&parse(resource), &parse(patch)).ok()?.write(&mut out);
        Some(String::from_utf8(out).unwrap())
    }

    /// Twice as much with each operation: forty of them are more than any machine has.
    #[test]
    fn copies_do_not_grow_without_end() {
        let copies = |count: usize, one: &str| format!("[{}]", vec![one; count].join(","));
        let into_itself = r#"{"op":"copy","from":"/a","path":"/a/-"}"#;
        assert!(run(r#"{"a":["x"]}"#, &copies(5, into_itself)).is_some());
        assert!(run(r#"{"a":["x"]}"#, &copies(18, into_itself)).is_none());
        // The same with one long text, and not with a text that only moves.
        let long = format!(r#"{{"a":["{}"]}}"#, "x".repeat(300_000));
        let beside = r#"{"op":"copy","from":"/a/0","path":"/a/-"}"#;
        assert!(run(&long, &copies(2, beside)).is_some());
        assert!(run(&long, &copies(20, beside)).is_none());
        let there = r#"{"op":"move","from":"/a/0","path":"/a/-"}"#;
        assert!(run(&long, &copies(100, there)).is_some());
    }

    /// What is copied into its own innermost object is twice as deep each time, and few bytes.
    #[test]
    fn nothing_grows_deeper_than_a_body_may_be() {
        let nested =
            |depth: usize| format!("{}{}", "{\"a\":".repeat(depth), "1") + &"}".repeat(depth);
        let add = format!(r#"{{"op":"add","path":"/a","value":{}}}"#, nested(60));
        let copy = |depth: usize| {
            format!(r#"{{"op":"copy","from":"/a","path":"{}"}}"#, "/a".repeat(depth))
        };
        assert!(run("{}", &format!("[{add}]")).is_some());
        let mut patch = vec![add];
        for doubled in 0..12 {
            patch.push(copy(60 << doubled));
        }
        assert_eq!(run("{}", &format!("[{}]", patch.join(","))), None);
        for (path, taken) in [("/a/a", true), ("/a/a/a", false)] {
            for op in ["add", "replace"] {
                let value = nested(62);
                let patch = format!(r#"[{{"op":"{op}","path":"{path}","value":{value}}}]"#);
                assert_eq!(run(&nested(3), &patch).is_some(), taken, "{op} {path}");
            }
        }
        let deep = format!(r#"{{"a":{},"b":{}}}"#, nested(40), nested(40));
        let into =
            format!(r#"[{{"op":"move","from":"/b","path":"/{}"}}]"#, vec!["a"; 41].join("/"));
        assert_eq!(run(&deep, &into), None);
    }

    #[test]
    fn each_operation_of_the_rfc() {
        let r = r#"{"a":[1,2],"b":{"c":"x","~/":1}}"#;
        for (patch, want) in [
            (r#"[{"op":"add","path":"/a/1","value":9}]"#, r#"{"a":[1,9,2],"b":{"c":"x","~/":1}}"#),
            (r#"[{"op":"add","path":"/a/-","value":9}]"#, r#"{"a":[1,2,9],"b":{"c":"x","~/":1}}"#),
            (r#"[{"op":"add","path":"/b/c","value":9}]"#, r#"{"a":[1,2],"b":{"c":9,"~/":1}}"#),
            (r#"[{"op":"remove","path":"/b/~0~1"}]"#, r#"{"a":[1,2],"b":{"c":"x"}}"#),
            (
                r#"[{"op":"replace","path":"/a/0","value":[]}]"#,
                r#"{"a":[[],2],"b":{"c":"x","~/":1}}"#,
            ),
            (r#"[{"op":"move","from":"/b/c","path":"/d"}]"#, r#"{"a":[1,2],"b":{"~/":1},"d":"x"}"#),
            (
                r#"[{"op":"copy","from":"/a/0","path":"/a/-"}]"#,
                r#"{"a":[1,2,1],"b":{"c":"x","~/":1}}"#,
            ),
            (r#"[{"op":"test","path":"/b","value":{"~/":1.0,"c":"x"}}]"#, r),
        ] {
            assert_eq!(run(r, patch).as_deref(), Some(want), "{patch}");
        }
        for bad in [
            r#"{"op":"add"}"#,
            r#"[{"op":"add","path":"/a/3","value":9}]"#,
            r#"[{"op":"add","path":"/a/01","value":9}]"#,
            r#"[{"op":"add","path":"/x/y","value":9}]"#,
            r#"[{"op":"add","path":"/x"}]"#,
            r#"[{"op":"remove","path":"/x"}]"#,
            r#"[{"op":"remove","path":"a"}]"#,
            r#"[{"op":"replace","path":"/x","value":1}]"#,
            r#"[{"op":"move","from":"/b","path":"/b/c"}]"#,
            r#"[{"op":"test","path":"/a/0","value":"1"}]"#,
            r#"[{"op":"merge","path":"/a"}]"#,
            r#"[{"op":"add","path":"/a~2b","value":1}]"#,
            r#"[{"op":"add","path":"/a~","value":1}]"#,
        ] {
            assert_eq!(run(r, bad), None, "{bad}");
        }
    }
}
