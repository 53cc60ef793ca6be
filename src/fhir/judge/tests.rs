use super::*;

fn issues(json: &str) -> Vec<(String, &'static str)> {
    let tree = Json::parse(json.as_bytes()).unwrap();
    let ty = tree.get("resourceType").and_then(Json::text).unwrap_or("Patient").to_owned();
    judge(&Elements::r4(), &tree, &ty).into_iter().map(|i| (i.expression, i.code)).collect()
}

fn one(json: &str) -> (String, &'static str) {
    let found = issues(json);
    assert_eq!(found.len(), 1, "{json}: {found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn good_resources_pass() {
    for good in [
        r#"{"resourceType":"Patient","id":"a","active":true,"name":[{"family":"x","given":["y","z"]}],
            "birthDate":"1985-03","deceasedDateTime":"2020-01-02T03:04:05.678+02:00","gender":"other",
            "generalPractitioner":[{"reference":"Practitioner/1"}],"multipleBirthInteger":2,
            "extension":[{"url":"urn:a","valueString":"b"},{"url":"urn:c","extension":[{"url":"d","valueBoolean":true}]}]}"#,
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"issued":"2020-01-02T03:04:05Z",
            "valueQuantity":{"value":1.50},"component":[{"code":{"text":"y"},"valueTime":"10:00:00"}]}"#,
        r#"{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"},"clinicalStatus":{"coding":[
            {"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]}}"#,
    ] {
        assert_eq!(issues(good), [], "{good}");
    }
}

#[test]
fn each_fault_is_named_by_its_element() {
    let p = |inside: &str| format!(r#"{{"resourceType":"Patient",{inside}}}"#);
    for (inside, path, code) in [
        (r#""nmae":[{}]"#, "Patient.nmae", "structure"),
        (r#""name":{"family":"x"}"#, "Patient.name", "structure"),
        (r#""name":[]"#, "Patient.name", "structure"),
        (r#""name":[{}]"#, "Patient.name[0]", "structure"),
        (r#""name":[{"family":["x"]}]"#, "Patient.name[0].family", "structure"),
        (r#""name":[{"family":"x"},{"family":" "}]"#, "Patient.name[1].family", "value"),
        (r#""name":[{"given":["x",null]}]"#, "Patient.name[0].given[1]", "structure"),
        (r#""gender":"F""#, "Patient.gender", "code-invalid"),
        (r#""active":"true""#, "Patient.active", "value"),
        (r#""active":1"#, "Patient.active", "value"),
        (r#""birthDate":"1985-02-30""#, "Patient.birthDate", "value"),
        (r#""birthDate":"5.3.1985""#, "Patient.birthDate", "value"),
        (r#""deceasedBoolean":true,"deceasedDateTime":"2020""#, "Patient.deceased", "structure"),
        (r#""deceasedDateTime":"2020-01-01T10:00:00""#, "Patient.deceasedDateTime", "value"),
        (r#""multipleBirthInteger":1.0"#, "Patient.multipleBirthInteger", "value"),
        (r#""id":"a/b""#, "Patient.id", "value"),
        (r#""contained":[{"resourceType":"Patient"}]"#, "Patient.contained[0]", "not-supported"),
        (r#""_birthDate":{"id":"x"}"#, "Patient.birthDate", "not-supported"),
        (
            r#""managingOrganization":{"reference":"Patient/1"}"#,
            "Patient.managingOrganization.reference",
            "value",
        ),
        (
            r##""managingOrganization":{"reference":"#a"}"##,
            "Patient.managingOrganization.reference",
            "not-supported",
        ),
        (
            r#""communication":[{"preferred":true}]"#,
            "Patient.communication[0].language",
            "required",
        ),
        (r#""photo":[{"data":"a*b="}]"#, "Patient.photo[0].data", "value"),
        (
            r#""link":[{"other":{"display":"x"},"type":"x"}]"#,
            "Patient.link[0].type",
            "code-invalid",
        ),
    ] {
        assert_eq!(one(&p(inside)), (path.to_owned(), code), "{inside}");
    }
    assert_eq!(one(r#"{"active":true}"#), ("Patient".to_owned(), "required"));
    let all =
        issues(r#"{"resourceType":"Observation","valueQuantity":{"value":"1"},"status":"x"}"#);
    let paths: Vec<&str> = all.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        ["Observation.valueQuantity.value", "Observation.status", "Observation.code"]
    );
}
