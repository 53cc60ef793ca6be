//! The addresses of the data plane that are spoken of in more than one place.

pub(super) const METADATA: &str = "/fhir/metadata";
pub(super) const SMART: &str = "/fhir/.well-known/smart-configuration";
pub(super) const BASE: &str = "/fhir";
/// The same as some clients write it.
pub(super) const BASE_SLASH: &str = "/fhir/";
pub(super) const TYPE: &str = "/fhir/{resource}";
pub(super) const SEARCH_FORM: &str = "/fhir/{resource}/_search";
/// Searches of all types at once.
pub(super) const SEARCH_ALL: &str = "/fhir/_search";
pub(super) const INSTANCE: &str = "/fhir/{resource}/{id}";
pub(super) const VERSION: &str = "/fhir/{resource}/{id}/_history/{version}";
pub(super) const LOGOUT: &str = "/oidc/backchannel-logout";
pub(super) const HEALTH: &str = "/healthz";
pub(super) const COMPARTMENT: &str = "/fhir/Patient/{id}/{resource}";
pub(super) const EVERYTHING: &str = "/fhir/Patient/{id}/$everything";
pub(super) const VALIDATE: &str = "/fhir/{resource}/$validate";
pub(super) const VALIDATE_INSTANCE: &str = "/fhir/{resource}/{id}/$validate";
/// Said by itself, because the compartments' addresses begin with the type.
pub(super) const VALIDATE_PATIENT: &str = "/fhir/Patient/{id}/$validate";
pub(super) const EXPORT: &str = "/fhir/$export";
pub(super) const EXPORT_PATIENTS: &str = "/fhir/Patient/$export";
pub(super) const EXPORT_GROUP: &str = "/fhir/Group/{id}/$export";
pub(super) const EXPORT_ORDER: &str = "/fhir/bulk/{order}";
pub(super) const EXPORT_FILE: &str = "/fhir/bulk/{order}/{file}";
