//! The CapabilityStatement (FHIR R4, 2.4).

use serde_json::{Value, json};

/// What the server says of itself, the same for everybody.
#[derive(Debug, Clone)]
pub struct ServerDescription {
    /// Version of this program.
    pub version: String,
    /// The FHIR base URL.
    pub base: String,
    /// When this version was made (FHIR `dateTime`).
    pub date: String,
    /// Where to sign in.
    pub authorization: Option<Endpoints>,
}

/// Where an application signs its user in.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// The issuer.
    pub issuer: String,
    /// Authorization endpoint.
    pub authorize: String,
    /// Token endpoint.
    pub token: String,
    /// Key set.
    pub jwks: String,
}

/// What can be done with one resource type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceCapability {
    /// The type.
    pub resource: String,
    /// Search parameters: name and kind.
    pub search: Vec<(String, &'static str)>,
    /// Whether resources have a version for `ETag`.
    pub versioned: bool,
}

/// Writes the statement.
pub fn statement(server: &ServerDescription, resources: &[ResourceCapability]) -> String {
    let resource = |r: &ResourceCapability| {
        let params: Vec<Value> =
            r.search.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
        json!({
            "type": r.resource,
            "interaction": [{ "code": "read" }, { "code": "search-type" }],
            "versioning": if r.versioned { "versioned" } else { "no-version" },
            "searchParam": params,
        })
    };
    let mut security = json!({
        "cors": true,
        "service": [{ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
            "code": "SMART-on-FHIR"
        }] }],
    });
    if let Some(endpoints) = &server.authorization {
        security["extension"] = json!([{
            "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
            "extension": [
                { "url": "authorize", "valueUri": endpoints.authorize },
                { "url": "token", "valueUri": endpoints.token },
            ],
        }]);
    }
    let mut rest = json!({ "mode": "server", "security": security });
    if !resources.is_empty() {
        rest["resource"] = resources.iter().map(resource).collect();
    }
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": server.date,
        "kind": "instance",
        "software": { "name": "Wardgate", "version": server.version },
        "implementation": { "description": "Wardgate FHIR R4 gateway", "url": server.base },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [rest],
    })
    .to_string()
}
