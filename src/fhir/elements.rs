//! What R4 says of the elements of the resource types that can be mapped so far (structure definitions of
//! FHIR R4, 4.0.1). A generated table for all types will take this one's place; the form stays.

/// An element: its path below the type, its data type, and whether it repeats or is required.
#[derive(Debug, Clone, Copy)]
pub struct Element {
    /// Name in its parent.
    pub name: &'static str,
    /// Data type: a primitive's name, or a complex type in [`complex`].
    pub ty: &'static str,
    /// It is an array.
    pub many: bool,
    /// It must be there.
    pub required: bool,
    /// Its codes, where the binding is required; empty otherwise.
    pub codes: &'static [&'static str],
}

const fn one(name: &'static str, ty: &'static str) -> Element {
    Element { name, ty, many: false, required: false, codes: &[] }
}

const fn many(name: &'static str, ty: &'static str) -> Element {
    Element { name, ty, many: true, required: false, codes: &[] }
}

const fn coded(name: &'static str, codes: &'static [&'static str]) -> Element {
    Element { name, ty: "code", many: false, required: false, codes }
}

const fn must(element: Element) -> Element {
    Element { required: true, ..element }
}

const GENDER: &[&str] = &["male", "female", "other", "unknown"];
const NAME_USE: &[&str] = &["usual", "official", "temp", "nickname", "anonymous", "old", "maiden"];
const IDENTIFIER_USE: &[&str] = &["usual", "official", "temp", "secondary", "old"];
const CONTACT_SYSTEM: &[&str] = &["phone", "fax", "email", "pager", "url", "sms", "other"];
const CONTACT_USE: &[&str] = &["home", "work", "temp", "old", "mobile"];
const ADDRESS_USE: &[&str] = &["home", "work", "temp", "old", "billing"];
const ADDRESS_TYPE: &[&str] = &["postal", "physical", "both"];
const COMPARATOR: &[&str] = &["<", "<=", ">=", ">"];
const OBSERVATION_STATUS: &[&str] = &[
    "registered",
    "preliminary",
    "final",
    "amended",
    "corrected",
    "cancelled",
    "entered-in-error",
    "unknown",
];

const PATIENT: &[Element] = &[
    one("meta", "Meta"),
    one("language", "code"),
    many("identifier", "Identifier"),
    one("active", "boolean"),
    many("name", "HumanName"),
    many("telecom", "ContactPoint"),
    coded("gender", GENDER),
    one("birthDate", "date"),
    one("deceasedBoolean", "boolean"),
    one("deceasedDateTime", "dateTime"),
    many("address", "Address"),
    one("maritalStatus", "CodeableConcept"),
    one("multipleBirthBoolean", "boolean"),
    one("multipleBirthInteger", "integer"),
    many("generalPractitioner", "Reference"),
    one("managingOrganization", "Reference"),
];

const OBSERVATION: &[Element] = &[
    one("meta", "Meta"),
    one("language", "code"),
    many("identifier", "Identifier"),
    many("basedOn", "Reference"),
    many("partOf", "Reference"),
    must(coded("status", OBSERVATION_STATUS)),
    many("category", "CodeableConcept"),
    must(one("code", "CodeableConcept")),
    one("subject", "Reference"),
    many("focus", "Reference"),
    one("encounter", "Reference"),
    one("effectiveDateTime", "dateTime"),
    one("effectivePeriod", "Period"),
    one("effectiveInstant", "instant"),
    one("issued", "instant"),
    many("performer", "Reference"),
    one("valueQuantity", "Quantity"),
    one("valueCodeableConcept", "CodeableConcept"),
    one("valueString", "string"),
    one("valueBoolean", "boolean"),
    one("valueInteger", "integer"),
    one("valueRange", "Range"),
    one("valueDateTime", "dateTime"),
    one("valuePeriod", "Period"),
    one("dataAbsentReason", "CodeableConcept"),
    many("interpretation", "CodeableConcept"),
    many("note", "Annotation"),
    one("bodySite", "CodeableConcept"),
    one("method", "CodeableConcept"),
];

const META: &[Element] = &[
    one("versionId", "id"),
    one("lastUpdated", "instant"),
    many("profile", "canonical"),
    many("tag", "Coding"),
];

const IDENTIFIER: &[Element] = &[
    coded("use", IDENTIFIER_USE),
    one("type", "CodeableConcept"),
    one("system", "uri"),
    one("value", "string"),
    one("period", "Period"),
    one("assigner", "Reference"),
];

const HUMAN_NAME: &[Element] = &[
    coded("use", NAME_USE),
    one("text", "string"),
    one("family", "string"),
    many("given", "string"),
    many("prefix", "string"),
    many("suffix", "string"),
    one("period", "Period"),
];

const CONTACT_POINT: &[Element] = &[
    coded("system", CONTACT_SYSTEM),
    one("value", "string"),
    coded("use", CONTACT_USE),
    one("rank", "positiveInt"),
    one("period", "Period"),
];

const ADDRESS: &[Element] = &[
    coded("use", ADDRESS_USE),
    coded("type", ADDRESS_TYPE),
    one("text", "string"),
    many("line", "string"),
    one("city", "string"),
    one("district", "string"),
    one("state", "string"),
    one("postalCode", "string"),
    one("country", "string"),
    one("period", "Period"),
];

const CODEABLE_CONCEPT: &[Element] = &[many("coding", "Coding"), one("text", "string")];

const CODING: &[Element] = &[
    one("system", "uri"),
    one("version", "string"),
    one("code", "code"),
    one("display", "string"),
    one("userSelected", "boolean"),
];

const QUANTITY: &[Element] = &[
    one("value", "decimal"),
    coded("comparator", COMPARATOR),
    one("unit", "string"),
    one("system", "uri"),
    one("code", "code"),
];

const RANGE: &[Element] = &[one("low", "Quantity"), one("high", "Quantity")];

const PERIOD: &[Element] = &[one("start", "dateTime"), one("end", "dateTime")];

const REFERENCE: &[Element] = &[
    one("reference", "string"),
    one("type", "uri"),
    one("identifier", "Identifier"),
    one("display", "string"),
];

const ANNOTATION: &[Element] =
    &[one("authorString", "string"), one("time", "dateTime"), must(one("text", "markdown"))];

/// The elements of a complex data type; `None` for a primitive.
pub fn complex(ty: &str) -> Option<&'static [Element]> {
    Some(match ty {
        "Meta" => META,
        "Identifier" => IDENTIFIER,
        "HumanName" => HUMAN_NAME,
        "ContactPoint" => CONTACT_POINT,
        "Address" => ADDRESS,
        "CodeableConcept" => CODEABLE_CONCEPT,
        "Coding" => CODING,
        "Quantity" => QUANTITY,
        "Range" => RANGE,
        "Period" => PERIOD,
        "Reference" => REFERENCE,
        "Annotation" => ANNOTATION,
        _ => return None,
    })
}

/// The elements of a resource type, if it can be mapped.
pub fn resource(name: &str) -> Option<&'static [Element]> {
    match name {
        "Patient" => Some(PATIENT),
        "Observation" => Some(OBSERVATION),
        _ => None,
    }
}

/// The resource types that can be mapped.
pub const TYPES: &[&str] = &["Observation", "Patient"];

/// Whether a primitive is written as a JSON number.
pub fn is_number(ty: &str) -> bool {
    matches!(ty, "decimal" | "integer" | "positiveInt" | "unsignedInt")
}

/// A choice element's stem, such as `value` for `valueQuantity`: only one of a stem may be mapped.
pub fn choice_stem(name: &str) -> Option<&'static str> {
    ["deceased", "multipleBirth", "effective", "value"].into_iter().find(|stem| {
        name.strip_prefix(stem)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    })
}
