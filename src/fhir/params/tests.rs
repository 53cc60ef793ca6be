use super::super::elements::{Elements, TypeDef};
use super::*;

/// The types that a path may lead to; none if it leads nowhere.
fn resolve(table: &Elements, ty: &TypeDef, steps: &[ParamStep]) -> Vec<&'static str> {
    let Some((first, rest)) = steps.split_first() else { return vec![ty.name] };
    if first.element == "id" && rest.is_empty() {
        return vec!["id"];
    }
    let Some(element) = ty.elements.iter().find(|e| e.name == first.element) else {
        return Vec::new();
    };
    assert!(first.ty.is_none() || element.choice, "{} {}", ty.name, first.element);
    let types = element.types.iter().filter(|t| first.ty.is_none_or(|want| want == **t));
    let mut found = Vec::new();
    for name in types {
        let next = table.get(name);
        if let Some((member, _)) = first.only {
            assert!(next.is_some_and(|next| next.member(member).is_some()), "{name} {member}");
        }
        match next {
            _ if rest.is_empty() => found.push(*name),
            Some(next) => found.extend(resolve(table, next, rest)),
            None => {}
        }
    }
    found
}

fn check(table: &Elements, ty: &TypeDef, param: &ParamDef) {
    assert!(!param.paths.is_empty());
    for path in &param.paths {
        let types = resolve(table, ty, &path.steps);
        assert!(!types.is_empty(), "{} {} {path:?}", ty.name, param.name);
        let refers = ["Reference", "canonical", "uri"].iter().any(|t| types.contains(t));
        assert!(refers || param.kind != ParamKind::Reference, "{} {}", ty.name, param.name);
        assert!(path.target.is_none_or(|t| table.resource(t).is_some()));
    }
    for target in &param.targets {
        assert!(table.resource(target).is_some(), "{} {} {target}", ty.name, param.name);
        assert_eq!(param.kind, ParamKind::Reference);
    }
}

#[test]
fn every_expression_leads_to_an_element() {
    let table = Elements::r4();
    let (mut params, mut composites, mut rest) = (0, 0, 0);
    let common = r4_params("").len();
    assert_eq!((common, r4_unexpressed("").len()), (6, 3));
    for name in table.resource_types() {
        let ty = table.resource(name).unwrap();
        let own = r4_params(name);
        assert!(own.len() >= common);
        params += own.len() - common;
        for (number, param) in own.iter().enumerate() {
            check(&table, ty, param);
            assert!(own[..number].iter().all(|p| p.name != param.name), "{name} {}", param.name);
        }
        for composite in r4_composites(name) {
            composites += 1;
            assert!(composite.components.len() > 1, "{name} {}", composite.name);
            for root in &composite.roots {
                let owners = resolve(&table, ty, root);
                assert_eq!(owners.len(), 1, "{name} {}", composite.name);
                for component in &composite.components {
                    check(&table, table.get(owners[0]).unwrap(), component);
                }
            }
        }
        rest += r4_unexpressed(name).len() - 3;
    }
    assert_eq!((params, composites, rest), (1616, 69, 12));
    // Every line is one of the three.
    let lines = R4.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).count();
    assert_eq!(lines, params + composites + rest + 6 + 3);
}

#[test]
fn the_forms_of_an_expression() {
    let find = |ty, name| r4_params(ty).into_iter().find(|p| p.name == name).unwrap();
    let phone = find("Patient", "phone");
    assert_eq!(phone.paths[0].steps[0].only, Some(("system", "phone")));
    let patient = find("Observation", "patient");
    assert_eq!(patient.paths[0].target, Some("Patient"));
    assert_eq!(patient.targets, ["Group", "Patient"]);
    let combo = find("Observation", "combo-value-quantity");
    assert_eq!(combo.paths.len(), 4);
    assert_eq!(combo.paths[2].steps[1].ty, Some("Quantity"));
    let text = find("Observation", "value-string");
    assert_eq!(
        (text.paths[1].steps[0].ty, text.paths[1].steps[1].element),
        (Some("CodeableConcept"), "text")
    );
    let deceased = find("Patient", "deceased");
    assert!(deceased.paths[0].exists && deceased.paths[0].steps[0].element == "deceased");
    let composed = find("Library", "composed-of");
    assert_eq!(composed.paths[0].steps[0].only, Some(("type", "composed-of")));
    assert_eq!(composed.paths[0].steps[1].element, "resource");
    assert!(composed.targets.is_empty());
    assert_eq!(find("InsurancePlan", "name").paths.len(), 2);
}

#[test]
fn composites_keep_their_components() {
    let all = r4_composites("Observation");
    let find = |name: &str| all.iter().find(|c| c.name == name).unwrap();
    let plain = find("code-value-quantity");
    assert_eq!(plain.roots, [Vec::new()]);
    let kinds: Vec<_> = plain.components.iter().map(|c| (c.name, c.kind)).collect();
    assert_eq!(kinds, [("code", ParamKind::Token), ("value-quantity", ParamKind::Quantity)]);
    let combo = find("combo-code-value-quantity");
    assert_eq!((combo.roots[0].len(), combo.roots[1][0].element), (0, "component"));
    assert!(r4_params("Observation").iter().all(|p| p.name != "code-value-quantity"));
}

#[test]
fn what_has_no_path_says_why() {
    let near = r4_unexpressed("Location").into_iter().find(|p| p.name == "near").unwrap();
    assert_eq!(near.kind, "special");
    assert!(!near.reason.is_empty());
    assert!(r4_params("Location").iter().all(|p| p.name != "near"));
    assert!(r4_unexpressed("Patient").iter().any(|p| p.name == "phonetic"));
}
