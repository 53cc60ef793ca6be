//! Search parameters (FHIR R4 search parameter registry) of the types that can be mapped so far. A
//! generated table for all types will take this one's place.

/// Kinds of search parameters (FHIR R4, 3.1.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Codes and identifiers.
    Token,
    /// Texts.
    String,
    /// Dates and times.
    Date,
    /// References.
    Reference,
}

impl ParamKind {
    /// The code in a CapabilityStatement.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::String => "string",
            Self::Date => "date",
            Self::Reference => "reference",
        }
    }
}

/// A search parameter.
#[derive(Debug, Clone, Copy)]
pub struct SearchParam {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: ParamKind,
    /// The elements it looks at, below the type; `[system]` limits contact points.
    pub paths: &'static [&'static str],
    /// The one type a reference must point at, where the parameter says so.
    pub target: Option<&'static str>,
}

const fn p(name: &'static str, kind: ParamKind, paths: &'static [&'static str]) -> SearchParam {
    SearchParam { name, kind, paths, target: None }
}

use ParamKind::{Date, Reference, String, Token};

const PATIENT: &[SearchParam] = &[
    p("active", Token, &["active"]),
    p(
        "address",
        String,
        &[
            "address.text",
            "address.line",
            "address.city",
            "address.district",
            "address.state",
            "address.postalCode",
            "address.country",
        ],
    ),
    p("address-city", String, &["address.city"]),
    p("address-country", String, &["address.country"]),
    p("address-postalcode", String, &["address.postalCode"]),
    p("address-state", String, &["address.state"]),
    p("birthdate", Date, &["birthDate"]),
    p("email", Token, &["telecom[email]"]),
    p("family", String, &["name.family"]),
    p("gender", Token, &["gender"]),
    p("general-practitioner", Reference, &["generalPractitioner"]),
    p("given", String, &["name.given"]),
    p("identifier", Token, &["identifier"]),
    p("name", String, &["name.text", "name.family", "name.given", "name.prefix", "name.suffix"]),
    p("organization", Reference, &["managingOrganization"]),
    p("phone", Token, &["telecom[phone]"]),
    p("telecom", Token, &["telecom"]),
];

const OBSERVATION: &[SearchParam] = &[
    p("category", Token, &["category"]),
    p("code", Token, &["code"]),
    p("date", Date, &["effectiveDateTime", "effectiveInstant"]),
    p("encounter", Reference, &["encounter"]),
    p("identifier", Token, &["identifier"]),
    SearchParam { name: "patient", kind: Reference, paths: &["subject"], target: Some("Patient") },
    p("performer", Reference, &["performer"]),
    p("status", Token, &["status"]),
    p("subject", Reference, &["subject"]),
    p("value-concept", Token, &["valueCodeableConcept"]),
    p("value-string", String, &["valueString"]),
];

/// The parameters of a type, without the ones every type has.
pub fn of(resource: &str) -> &'static [SearchParam] {
    match resource {
        "Patient" => PATIENT,
        "Observation" => OBSERVATION,
        _ => &[],
    }
}
