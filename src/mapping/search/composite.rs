//! Composite parameters (R4 section 3.1.1.4.13): values joined by `$` that must hold of one thing.

use std::cell::RefCell;

use crate::fhir::params::{CompositeDef, ParamDef, ParamPath, ParamStep};
use crate::fhir::query::split;
use crate::mapping::lens::predicate::{all, any};
use crate::mapping::plan::Predicate;
use crate::mapping::tree::{Object, Tree};

use super::walk::Walk;
use super::{Asked, Refusal, Unable, simple};

/// Whether some root has all the components.
pub(super) fn is_mapped(walk: &Walk<'_>, def: &CompositeDef) -> bool {
    def.roots.iter().any(|root| has_all(walk, root, &def.components))
}

fn has_all(walk: &Walk<'_>, root: &[ParamStep], components: &[ParamDef]) -> bool {
    components.iter().all(|component| {
        component.paths.iter().any(|path| {
            let steps = root.iter().chain(&path.steps).cloned().collect();
            walk.is_mapped(&ParamPath { steps, ..path.clone() })
        })
    })
}

pub(super) fn condition(
    walk: &Walk<'_>,
    def: &CompositeDef,
    asked: &Asked<'_>,
) -> Result<Predicate, Refusal> {
    if asked.modifier.is_some() {
        return Err(Refusal::Modifier);
    }
    let roots: Vec<_> =
        def.roots.iter().filter(|root| has_all(walk, root, &def.components)).collect();
    if roots.is_empty() {
        return Err(Refusal::NotMapped);
    }
    let mut found = Vec::new();
    for value in asked.values {
        let parts = split(value, '$');
        if parts.len() != def.components.len() || parts.iter().any(|part| part.is_empty()) {
            return Err(Refusal::Value("one value for each of its parts, with $ between them"));
        }
        for root in &roots {
            let refused = RefCell::new(None);
            let visit = |object: &Object| {
                let walk = Walk { root: object, ..*walk };
                together(&walk, def, &parts, asked).map_err(|refusal| {
                    refused.replace(Some(refusal));
                    Unable
                })
            };
            let at_root = if root.is_empty() {
                visit(walk.root)
            } else {
                let path = ParamPath { steps: (*root).clone(), target: None, exists: false };
                walk.run(&path, &|at| match at.tree {
                    Tree::Object(object) => visit(object),
                    _ => Err(Unable),
                })
            };
            match (at_root, refused.into_inner()) {
                (Ok(condition), _) => found.push(condition),
                (Err(_), Some(refusal)) => return Err(refusal),
                (Err(unable), None) => return Err(unable.into()),
            }
        }
    }
    Ok(any(found))
}

/// All components hold of one object.
fn together(
    walk: &Walk<'_>,
    def: &CompositeDef,
    parts: &[&str],
    asked: &Asked<'_>,
) -> Result<Predicate, Refusal> {
    let mut found = Vec::new();
    for (component, part) in def.components.iter().zip(parts) {
        let values = [(*part).to_owned()];
        let asked = Asked { modifier: None, values: &values, ..*asked };
        found.push(match simple(walk, component, &asked) {
            Err(Refusal::NotMapped) => Predicate::Never,
            found => found?,
        });
    }
    Ok(all(found))
}
