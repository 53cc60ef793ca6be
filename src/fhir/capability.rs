//! The CapabilityStatement (FHIR R4, 2.4).

use serde_json::{Value, json};

use super::params::ParamKind;

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

/// What the server can do with one resource type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeCapability {
    /// The resource type.
    pub resource_type: String,
    /// Codes of value set `type-restful-interaction`, such as `read`, `search-type`.
    pub interactions: Vec<&'static str>,
    /// Profiles that its resources say they are of, sorted.
    pub profiles: Vec<String>,
    /// Search parameters, by name.
    pub search_params: Vec<SearchParamCapability>,
    /// What `_include` can name, as `Type:parameter`.
    pub includes: Vec<String>,
    /// What `_revinclude` can name.
    pub revincludes: Vec<String>,
    /// Whether `$everything` is answered.
    pub everything: bool,
    /// `no-version`, `versioned` or `versioned-update`.
    pub versioning: &'static str,
    /// Whether new resources, changes and deletions may depend on a search.
    pub conditional: Conditional,
}

impl TypeCapability {
    /// Takes away what changes resources.
    pub fn no_writing(&mut self) {
        self.interactions.retain(|code| !["create", "update", "patch", "delete"].contains(code));
        self.conditional = Conditional::default();
        if self.versioning == "versioned-update" {
            self.versioning = "versioned";
        }
    }
}

/// What the server offers beside what it does with each type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// Bulk export.
    pub export: bool,
    /// Bundles that write.
    pub transaction: bool,
}

/// Which interactions may depend on a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conditional {
    /// `If-None-Exist`.
    pub create: bool,
    /// `PUT` to a type.
    pub update: bool,
    /// `DELETE` of a type; of one match only.
    pub delete: bool,
}

/// One search parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchParamCapability {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ParamKind,
}

/// What else a type can be asked for.
fn operations(ty: &TypeCapability, offered: Offered) -> Vec<Value> {
    let mut operations = Vec::new();
    if ty.everything {
        let definition = "http://hl7.org/fhir/OperationDefinition/Patient-everything";
        operations.push(json!({ "name": "everything", "definition": definition }));
    }
    match ty.resource_type.as_str() {
        "Patient" if offered.export => operations.push(export("patient-export")),
        "Group" if offered.export => operations.push(export("group-export")),
        _ => {}
    }
    // It is about writing, and goes with it.
    if offered.transaction {
        let definition = "http://hl7.org/fhir/OperationDefinition/Resource-validate";
        operations.push(json!({ "name": "validate", "definition": definition }));
    }
    operations
}

/// How to sign in.
fn security(server: &ServerDescription) -> Value {
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
    security
}

/// Writes the statement.
pub fn statement(server: &ServerDescription, types: &[TypeCapability], offered: Offered) -> String {
    let resource = |ty: &TypeCapability| {
        let params: Vec<Value> = ty
            .search_params
            .iter()
            .map(|param| json!({ "name": param.name, "type": param.kind.as_str() }))
            .collect();
        let interactions: Vec<Value> =
            ty.interactions.iter().map(|code| json!({ "code": code })).collect();
        let mut resource = json!({
            "type": ty.resource_type,
            "interaction": interactions,
            "versioning": ty.versioning,
        });
        if ty.versioning != "no-version" {
            // The present version alone.
            resource["readHistory"] = json!(false);
            resource["conditionalRead"] = json!("not-match");
        }
        let Conditional { create, update, delete } = ty.conditional;
        if create || update || delete {
            resource["updateCreate"] = json!(false);
            resource["conditionalCreate"] = json!(create);
            resource["conditionalUpdate"] = json!(update);
            resource["conditionalDelete"] = json!(if delete { "single" } else { "not-supported" });
        }
        resource["searchParam"] = json!(params);
        // A list in FHIR is never empty.
        for (name, all) in [
            ("supportedProfile", &ty.profiles),
            ("searchInclude", &ty.includes),
            ("searchRevInclude", &ty.revincludes),
        ] {
            if !all.is_empty() {
                resource[name] = json!(all);
            }
        }
        let operations = operations(ty, offered);
        if !operations.is_empty() {
            resource["operation"] = json!(operations);
        }
        resource
    };
    let mut rest = json!({ "mode": "server", "security": security(server) });
    if !types.is_empty() {
        rest["resource"] = types.iter().map(resource).collect();
        if offered.export {
            rest["operation"] = json!([export("export")]);
        }
        let codes =
            ["batch", "transaction"].into_iter().filter(|c| offered.transaction || *c == "batch");
        rest["interaction"] = codes.map(|code| json!({ "code": code })).collect();
    }
    let mut statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": server.date,
        "kind": "instance",
        "software": { "name": "Wardgate", "version": server.version },
        "implementation": { "description": "Wardgate FHIR R4 gateway", "url": server.base },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [rest],
    });
    if types.iter().any(|ty| ty.interactions.contains(&"patch")) {
        statement["patchFormat"] = json!(["application/json-patch+json"]);
    }
    statement.to_string()
}

/// An operation of the Bulk Data Access guide.
fn export(definition: &str) -> Value {
    let definition = format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{definition}");
    json!({ "name": "export", "definition": definition })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_carries_what_strict_clients_read() {
        let server = ServerDescription {
            version: "1".to_owned(),
            base: "https://b/fhir".to_owned(),
            date: "2026-01-01".to_owned(),
            authorization: None,
        };
        let types = [TypeCapability {
            resource_type: "Patient".to_owned(),
            interactions: vec!["read", "search-type"],
            profiles: vec!["http://example.org/patient".to_owned()],
            search_params: vec![SearchParamCapability {
                name: "birthdate".to_owned(),
                kind: ParamKind::Date,
            }],
            includes: vec!["Patient:organization".to_owned()],
            revincludes: Vec::new(),
            everything: true,
            versioning: "no-version",
            conditional: Conditional::default(),
        }];
        let all = Offered { export: true, transaction: true };
        for types in [&types[..], &[]] {
            let json: Value = serde_json::from_str(&statement(&server, types, all)).unwrap();
            assert_eq!(json["fhirVersion"], "4.0.1");
            assert_eq!(json["rest"][0]["mode"], "server");
            assert_eq!(json["rest"][0]["resource"].is_array(), !types.is_empty());
        }
        let json: Value = serde_json::from_str(&statement(&server, &types, all)).unwrap();
        assert!(json["rest"][0]["resource"][0]["conditionalRead"].is_null());
        assert!(json["patchFormat"].is_null());
        let patched = TypeCapability {
            interactions: vec!["vread", "patch"],
            versioning: "versioned",
            ..types[0].clone()
        };
        let patched: Value = serde_json::from_str(&statement(&server, &[patched], all)).unwrap();
        assert_eq!(patched["patchFormat"], json!(["application/json-patch+json"]));
        assert_eq!(patched["rest"][0]["resource"][0]["readHistory"], false);
        assert_eq!(json["rest"][0]["resource"][0]["searchParam"][0]["type"], "date");
        assert_eq!(json["rest"][0]["resource"][0]["operation"][0]["name"], "everything");
        assert!(json["rest"][0]["resource"][0]["searchInclude"].is_array());
        let profiles = &json["rest"][0]["resource"][0]["supportedProfile"];
        assert_eq!(*profiles, json!(["http://example.org/patient"]));
        assert!(json["rest"][0]["resource"][0]["searchRevInclude"].is_null());
    }
}
