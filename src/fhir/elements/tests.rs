use super::*;

fn every_type(table: &Elements) -> impl Iterator<Item = &TypeDef> {
    let blocks = table.blocks.iter();
    blocks.flat_map(|(_, block)| block.types.get_or_init(|| table.read(block.text)))
}

fn types_of(table: &Elements, ty: &str, json_name: &str) -> Option<&'static str> {
    Some(table.get(ty)?.member(json_name)?.ty)
}

#[test]
fn members_by_json_name() {
    let r4 = Elements::r4();
    let patient = r4.resource("Patient").unwrap();
    let gender = patient.member("gender").unwrap();
    assert_eq!((gender.ty, gender.element.binding), ("code", Some("administrative-gender")));
    assert_eq!(patient.member("deceasedDateTime").unwrap().ty, "dateTime");
    assert!(patient.member("deceased").is_none());
    assert!(patient.member("deceaseddateTime").is_none());
    assert!(patient.member("sex").is_none());
    let observation = r4.resource("Observation").unwrap();
    assert_eq!(observation.member("valueQuantity").unwrap().ty, "Quantity");
    assert_eq!(observation.member("valueCodeableConcept").unwrap().ty, "CodeableConcept");
    assert!(observation.member("code").unwrap().element.required);
    assert_eq!(observation.member("subject").unwrap().element.targets[0], "Patient");
    assert!(observation.member("focus").unwrap().element.targets.is_empty());
}

#[test]
fn all_of_r4_is_there() {
    let r4 = Elements::r4();
    // The 148 of value set `resource-types` but for Resource and DomainResource.
    let all = &r4.value_set("resource-types").unwrap().codes;
    let listed = all.iter().copied().filter(|t| !["Resource", "DomainResource"].contains(t));
    let mut listed: Vec<_> = listed.collect();
    listed.sort_unstable();
    assert_eq!(r4.resource_types(), listed);
    assert_eq!(listed.len(), 146);
    let count = |kind| every_type(&r4).filter(|t| t.kind == kind).count();
    assert_eq!(count(TypeKind::Abstract), 4);
    assert_eq!(count(TypeKind::Complex), 39);
    assert_eq!(count(TypeKind::Backbone), 473);
    assert_eq!(r4.value_sets.len(), 224);
    assert!(r4.resource("DomainResource").is_none() && r4.get("DomainResource").is_some());
}

#[test]
fn every_name_in_the_table_leads_somewhere() {
    let r4 = Elements::r4();
    let primitives = [
        "base64Binary",
        "boolean",
        "canonical",
        "code",
        "date",
        "dateTime",
        "decimal",
        "id",
        "instant",
        "integer",
        "markdown",
        "oid",
        "positiveInt",
        "string",
        "time",
        "unsignedInt",
        "uri",
        "url",
        "uuid",
        "xhtml",
    ];
    for ty in every_type(&r4) {
        assert!(!ty.elements.is_empty(), "{}", ty.name);
        for (number, element) in ty.elements.iter().enumerate() {
            let at = format!("{}.{}", ty.name, element.name);
            assert_eq!(element.choice, element.types.len() > 1, "{at}");
            assert!(ty.elements[..number].iter().all(|e| e.name != element.name), "{at}");
            for name in &element.types {
                assert!(primitives.contains(name) || r4.get(name).is_some(), "{at} {name}");
            }
            for target in element.targets.iter().chain(&element.canonicals) {
                assert!(r4.resource(target).is_some(), "{at} {target}");
            }
            if let Some(set) = element.binding {
                let listed = r4.value_set(set).is_some_and(|s| !s.codes.is_empty());
                assert!(listed != r4.is_open(set), "{at} {set}");
            }
        }
        let mut names = ty.member_names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ty.elements.iter().map(|e| e.types.len()).sum::<usize>());
        for name in names {
            assert!(ty.member(&name).is_some(), "{} {name}", ty.name);
        }
    }
}

#[test]
fn content_by_reference_is_resolved() {
    let r4 = Elements::r4();
    for (ty, name, want) in [
        ("ValueSet.compose", "exclude", "ValueSet.compose.include"),
        ("Observation.component", "referenceRange", "Observation.referenceRange"),
        ("Bundle.entry", "link", "Bundle.link"),
        ("Parameters.parameter", "part", "Parameters.parameter"),
        ("Questionnaire.item", "item", "Questionnaire.item"),
        ("Provenance.entity", "agent", "Provenance.agent"),
    ] {
        assert_eq!(types_of(&r4, ty, name), Some(want), "{ty}.{name}");
        assert_eq!(r4.get(want).unwrap().kind, TypeKind::Backbone);
    }
}

#[test]
fn the_odd_ones() {
    let r4 = Elements::r4();
    assert_eq!(types_of(&r4, "Bundle.entry", "resource"), Some("Resource"));
    assert_eq!(types_of(&r4, "Bundle.entry.search", "mode"), Some("code"));
    assert_eq!(types_of(&r4, "Observation.component", "valueSampledData"), Some("SampledData"));
    assert_eq!(types_of(&r4, "Timing", "repeat"), Some("Timing.repeat"));
    assert_eq!(types_of(&r4, "Timing.repeat", "boundsPeriod"), Some("Period"));
    assert_eq!(types_of(&r4, "Dosage", "asNeededCodeableConcept"), Some("CodeableConcept"));
    assert_eq!(types_of(&r4, "Dosage.doseAndRate", "rateRatio"), Some("Ratio"));
    assert_eq!(types_of(&r4, "Narrative", "div"), Some("xhtml"));
    assert_eq!(types_of(&r4, "Extension", "url"), Some("uri"));
    assert_eq!(types_of(&r4, "Age", "comparator"), Some("code"));
    let any = ["ElementDefinition", "Task.input", "Parameters.parameter", "Extension"];
    for (ty, name) in any.iter().zip(["defaultValue", "value", "value", "value"]) {
        let element = r4.get(ty).unwrap().elements.iter().find(|e| e.name == name).unwrap();
        assert_eq!((element.types.len(), element.choice), (50, true), "{ty}");
        assert!(element.types.contains(&"positiveInt") && element.types.contains(&"Dosage"));
    }
    // Neither R5's elements nor an implementation's own.
    assert!(r4.resource("SubscriptionStatus").is_none());
    for name in ["label", "studyDesign"] {
        assert!(types_of(&r4, "ResearchStudy", name).is_none());
    }
    assert!(types_of(&r4, "Meta", "project").is_none());
}

#[test]
fn what_is_inherited_comes_first() {
    let r4 = Elements::r4();
    let names = |ty: &str, n: usize| -> Vec<_> {
        r4.get(ty).unwrap().elements.iter().map(|e| e.name).take(n).collect()
    };
    let domain = ["meta", "implicitRules", "language", "text", "contained", "extension"];
    assert_eq!(names("Patient", 6), domain);
    assert_eq!(names("Bundle", 4), ["meta", "implicitRules", "language", "identifier"]);
    assert_eq!(names("HumanName", 3), ["id", "extension", "use"]);
    assert_eq!(names("Patient.link", 4), ["id", "extension", "modifierExtension", "other"]);
    assert_eq!(names("Timing.repeat", 3), ["id", "extension", "bounds"]);
}

#[test]
fn flags_of_summary_and_modifier() {
    let r4 = Elements::r4();
    let flags = |ty: &str, name: &str| {
        let element = r4.get(ty).unwrap().elements.iter().find(|e| e.name == name).unwrap();
        (element.summary, element.modifier)
    };
    assert_eq!(flags("Patient", "active"), (true, true));
    assert_eq!(flags("Patient", "birthDate"), (true, false));
    assert_eq!(flags("Patient", "photo"), (false, false));
    assert_eq!(flags("Observation", "status"), (true, true));
    assert_eq!(flags("Observation", "note"), (false, false));
    assert_eq!(flags("Resource", "implicitRules"), (true, true));
}

#[test]
fn value_sets_listed_and_open() {
    let r4 = Elements::r4();
    let gender = r4.value_set("administrative-gender").unwrap();
    assert_eq!(gender.system, Some("http://hl7.org/fhir/administrative-gender"));
    assert_eq!(gender.codes, ["male", "female", "other", "unknown"]);
    // From two systems, and from below another code.
    assert_eq!(r4.value_set("event-timing").unwrap().system, None);
    assert!(r4.value_set("observation-status").unwrap().codes.contains(&"corrected"));
    for open in ["mimetypes", "currencies", "ucum-units", "LL379-9"] {
        assert!(r4.is_open(open) && r4.value_set(open).is_none(), "{open}");
    }
    assert!(!r4.is_open("administrative-gender") && !r4.is_open("nothing"));
    let binding = |ty: &str, name: &str| r4.get(ty).unwrap().member(name).unwrap().element.binding;
    assert_eq!(binding("Attachment", "contentType"), Some("mimetypes"));
    assert_eq!(binding("Money", "currency"), Some("currencies"));
    assert_eq!(binding("Attachment", "language"), None);
    assert_eq!(binding("ResearchStudy", "status"), Some("research-study-status"));
}

#[test]
fn canonicals_are_told_from_references() {
    let r4 = Elements::r4();
    let report = r4.get("QuestionnaireResponse").unwrap();
    let questionnaire = report.member("questionnaire").unwrap().element;
    assert_eq!(questionnaire.canonicals, ["Questionnaire"]);
    assert!(questionnaire.targets.is_empty());
}
