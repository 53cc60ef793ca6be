//! What is asked.

use proptest::prelude::*;

use super::Query;

type Words = &'static [&'static str];

/// One of these parameters, with one of the modifiers and one of the values.
fn of(names: Words, modifiers: Words, values: Words) -> impl Strategy<Value = Query> {
    (prop::sample::select(names), prop::sample::select(modifiers), prop::sample::select(values))
        .prop_map(|(n, m, v)| (n.to_owned(), m.to_owned(), v.to_owned()))
}

/// Codes of the parameters that have them: paired at random with all others they would hardly ever meet.
fn coded() -> impl Strategy<Value = Query> {
    prop_oneof![
        3 => of(
            &["gender", "severity", "address-use"],
            &["", "", "not"],
            &["other", "other", "unknown", "female", "male", "other,unknown", "female,other", "home",
              "http://hl7.org/fhir/administrative-gender|other", "urn:x|other", "urn:x|unknown"],
        ),
        1 => of(&["active", "deceased"], &["", "", "not"], &["true", "false"]),
        1 => of(
            &["status"],
            &["", "", "not"],
            &["final", "preliminary", "finished", "planned", "final,preliminary", "planned,finished"],
        ),
        2 => of(
            &["identifier"],
            &["", "", "not"],
            &["A1", "a1", "urn:a|A1", "urn:a|", "|A1", "-", "0", "A1,-", "urn:w|ANA", "W1,w1", "urn:p|W1", "urn:b|A1", "b", "Á", "x*[y]?!z", "Muñoz"],
        ),
        2 => of(
            &["code", "conclusion", "component-code"],
            &["", "", "not"],
            &["14749-6", "http://loinc.org|14749-6", "urn:local|", "|GLU", "urn:own|GLU", "718-7", "S", "urn:c|R", "a", "urn:p|a",
              "a,b", "urn:w|Muñoz"],
        ),
        1 => of(
            &["telecom", "phone", "email"],
            &["", "", "not"],
            &["555", "x@y", "phone|555", "email|x@y", "5", "555,x@y", "phone|x@y"],
        ),
    ]
}

/// A parameter, a modifier and a value that have something to do with each other.
pub fn query() -> impl Strategy<Value = Query> {
    prop_oneof![
        3 => of(
            &["family", "given", "name", "address-city", "address-country", "address-state", "value-string",
              "lot-number", "abatement-string"],
            &["", "", "exact", "contains"],
            &["mu", "Muñoz", "muñoz paz", "ANA", "ana m", "a", "-", "CL", "dr", "A1", "glú", "paz",
              "o'b", "O'Brien\\\\%_", "%", "_", "\\\\", "😀", "b", "B", "c.d",
              "x*", "*", "?", "[", "x*[y]?", "x?", "!"],
        ),
        4 => coded(),
        2 => of(
            &["gender", "active", "identifier", "phone", "email", "telecom", "status", "code", "deceased",
              "address-use", "severity", "conclusion"],
            &["", "", "not"],
            &["female", "male", "other", "unknown", "FEMALE", "true", "false", "A1", "a1", "urn:a|A1", "|A1",
              "urn:a|", "555", "x@y", "email|x@y", "phone|555", "final", "preliminary", "14749-6",
              "http://loinc.org|14749-6", "urn:local|", "urn:own|GLU", "|GLU", "718-7", "home", "0", "-", "W1",
              "finished", "planned",
              "http://hl7.org/fhir/administrative-gender|male", "urn:none|male",
              "http://hl7.org/fhir/administrative-gender|", "female,male", "A1,-", "urn:x|female", "urn:x|",
              "urn:w|ANA", "W1,w1", "urn:u|ANA M", "urn:u|MUÑOZ PAZ", "urn:u|ana m", "MUÑOZ PAZ,O'B", "urn:l|w1", "urn:l|W1", "urn:u|", "urn:c|S", "R", "urn:p|a", "a,b", "urn:j|a1", "urn:g|Glucosa", "555,x@y"],
        ),
        3 => of(
            &["birthdate", "death-date", "date", "date", "_lastUpdated", "onset-date", "recorded-date", "occurrence", "started", "started"],
            &[""],
            &["1985", "1985-03", "1985-03-05", "ge1985-03-05", "lt1986", "gt1985-12-31", "le1984-02-29",
              "ne1985", "sa1985", "eb1986-01-01", "2020", "2020-05", "2020-05-06", "ge2020-05-06T10:00:00Z",
              "lt2020-05-06T10:00:00Z", "2020-05-06T10:00:00Z", "ne2020-05", "eq1985-03-05T08:30:00Z",
              "ge1985-03-05T08:30", "le1985-12-31T23:59:00Z", "9999", "le9999-12-31", "gt9999-12-30",
              "sa9999-12-31", "ne9999-12-31",
              "2020-05-06T06:00:00-04:00", "ge2020-05-07", "lt2020-05-07T00:00:00", "eb2020-05-07", "0001-01-01",
              "1985,2020-05-06", "lt1986,ge2020-05-06T10:00:00Z", "ne1985,ne2020", "le2020-05-06T06:00", "gt2020-05-06",
              "2020-04-05T03:30:00Z", "2020-04-05T02:30:00Z", "ge2020-04-05T03:00:00Z", "lt2020-04-05T03:30:00Z",
              "2020-04-04", "gt2020-04-04T23:30:00-03:00", "sa2020-04-04T23:30:00-04:00", "1900-06-01",
              "1900-06-01T14:42:45Z", "lt1900-06-01T14:42:45Z", "ge1900-06-01T10:00:00+05:53", "eb1900-06-02",
              "ap1985", "ap1985-03-05", "ap1984", "ap2020-05", "ap2020-05-06", "ap2020-05-06T10:00:00Z", "ap2020-07-01",
              "ap2020-04-05T03:30:00Z", "ap0001-01-01", "ap9999", "ap9999-12-31", "ap1900-06-01", "ap2021,ap1986"],
        ),
        2 => of(
            &["link", "subject", "patient", "asserter"],
            &["", "Patient"],
            &["1", "Patient/1", "Patient/2", "http://x/fhir/Patient/1", "Group/1", "Patient/01", "77", "g-1", "Location/W1", "W1",
              "1,2", "Patient/1,Patient/77", "Patient/1/_history/3", "http://y/fhir/Patient/1"],
        ),
        2 => of(
            &["_id"],
            &[""],
            &["1", "2,1", "01", "Patient/1", "g-9007199254740994", "9007199254740995", "m-1", "n-2,m-2", "r-1", "v-a-1,v-B-2",
              "00000008-0000-4000-8000-000000000001", "W1", "-W.201", "s-W1-1", "s--W.201-1", "score-1", "ratio-1,score-2",
              "d-1", "sp-10", "c-1,c-2,c-3", "W1,w1", "x"],
        ),
        1 => of(
            &["general-practitioner", "encounter", "participant", "location"],
            &[""],
            &["W1", "Organization/w1", "s-W1-1", "Encounter/s-w1-2", "Patient/1", "2", "s-W1-1,s-W1-2,s-w1-1", "W1,w1",
                "Organization/-W.201", "Organization/--", "s--W.201-1,s--.C3.A9.2F.7B1.7D-2,s-----3", "-.C3.A9.2F.7B1.7D,W 1"],
        ),
        1 => of(&["questionnaire"], &["", "", "missing"],
            &["http://q/a", "http://q/a|1", "http://q/ab", "http://q", "HTTP://q/a", "a", "http://q/a|", "true",
              "http://q/a|2,http://q/ab"]),
        2 => of(&["component-code", "name"], &["", "not", "missing"], &["a", "urn:p|b", "Muñoz", "true", "false"]),
        1 => of(&["probability"], &["", "", "missing"],
            &["0.5", "0.50", "lt0.5", "ge0.5", "gt0.1", "le0.1", "0.1", "ne0.1", "10000000000000000", "true", "gt1e10",
              "0.00000015", "1234567.123456", "-0.25", "0", "ap0.5"]),
        2 => of(&["value-quantity", "component-value-quantity", "quantity"], &[""],
            &["5,0.5", "0.5", "lt0.5", "ge0.1", "gt5,lt0", "0.5||%", "0.500001||1", "5", "5.4", "lt5.4", "ge5", "ne5.4", "gt-1", "5.4|http://unitsofmeasure.org|mg", "5||mg", "ap5"]),
        3 => of(
            &["family", "given", "gender", "active", "identifier", "phone", "email", "telecom", "birthdate",
              "death-date", "link", "date", "value-quantity", "value-string", "code",
              "status", "address-use", "address-city", "organization", "deceased", "onset-date", "recorded-date",
              "severity", "asserter", "abatement-string", "subject", "occurrence", "quantity", "conclusion", "_id",
              "encounter", "general-practitioner", "participant", "patient", "location", "started"],
            &["missing"],
            &["true", "false"],
        ),
    ]
}
