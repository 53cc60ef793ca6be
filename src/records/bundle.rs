//! Bundles of orders (FHIR R4, 3.1.0.11): what each entry asks for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fault::RecordsFault;
use super::step::{Act, Order};
use super::validate::Validation;
use crate::fhir::query::parameters;
use crate::fhir::{Json, primitive};

/// Most entries of a bundle.
pub(super) const MAX_ENTRIES: usize = 100;

/// How the entries of a bundle belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleKind {
    /// Each by itself.
    Batch,
    /// All or none.
    Transaction,
}

/// A bundle of orders.
#[derive(Debug)]
pub struct Bundle {
    /// What it is.
    pub kind: BundleKind,
    /// Its entries; one that cannot be understood is a fault of its own.
    pub entries: Vec<Result<Entry, RecordsFault>>,
}

/// One entry.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What others call the resource.
    pub full_url: Option<String>,
    /// What is wanted.
    pub wanted: Wanted,
}

/// What an entry wants.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// Something written, or read within a transaction.
    Order(Box<Order>),
    /// A resource, or a version of it.
    Read {
        /// Type.
        resource: String,
        /// Id.
        id: String,
        /// Version.
        version: Option<String>,
        /// The query, for `_elements` and `_summary`.
        query: String,
        /// `ifNoneMatch`: the versions the caller has.
        unless: Option<String>,
    },
    /// A search.
    Search {
        /// Type.
        resource: String,
        /// Only resources of that patient's compartment.
        patient: Option<String>,
        /// The query.
        query: String,
    },
    /// `$everything` of a patient.
    Everything {
        /// The patient's id.
        patient: String,
        /// The query.
        query: String,
    },
    /// What would be said of a change (`$validate`).
    Validate(Box<Validation>),
}

const NO_BUNDLE: RecordsFault =
    RecordsFault::Request("Send a Bundle of type batch or transaction with at most 100 entries.");
const NO_ENTRY: RecordsFault = RecordsFault::Request(
    "An entry needs request.method (GET, POST, PUT, PATCH or DELETE) and a request.url that goes with it, such as \
     Patient, Patient/1 or Patient?name=x, and a resource where it writes.",
);

impl Bundle {
    /// Takes a bundle apart. Addresses below the server's own, `base`, mean the same as relative ones.
    pub fn read(body: Json, base: &str) -> Result<Self, RecordsFault> {
        if body.get("resourceType").and_then(Json::text) != Some("Bundle") {
            return Err(NO_BUNDLE);
        }
        let kind = match body.get("type").and_then(Json::text) {
            Some("batch") => BundleKind::Batch,
            Some("transaction") => BundleKind::Transaction,
            _ => return Err(NO_BUNDLE),
        };
        let mut body = body;
        let entries = match body.take("entry") {
            None => Vec::new(),
            Some(Json::List(entries)) if entries.len() <= MAX_ENTRIES => entries,
            Some(_) => return Err(NO_BUNDLE),
        };
        Ok(Self { kind, entries: entries.into_iter().map(|one| entry(one, base)).collect() })
    }
}

/// Whether a text looks like the name of a resource type.
fn is_type(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_alphabetic())
}

fn entry(mut entry: Json, base: &str) -> Result<Entry, RecordsFault> {
    let resource = entry.take("resource");
    let full_url = entry.get("fullUrl").and_then(Json::text).map(str::to_owned);
    let request = entry.get("request").ok_or(NO_ENTRY)?;
    let text = |name: &str| request.get(name).and_then(Json::text).map(str::to_owned);
    let (method, url) = (text("method").ok_or(NO_ENTRY)?, text("url").ok_or(NO_ENTRY)?);
    let own = url.strip_prefix(base).filter(|rest| rest.starts_with('/'));
    let url = own.unwrap_or(url.as_str());
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, query.to_owned()),
        None => (url, String::new()),
    };
    let steps: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let ty = steps.first().copied().unwrap_or_default();
    if !is_type(ty) {
        return Err(NO_ENTRY);
    }
    let (ty, condition) = (ty.to_owned(), (!query.is_empty()).then(|| query.clone()));
    let id = steps.get(1).map(|id| (*id).to_owned()).filter(|id| primitive::is_id(id));
    let bare = steps.len() == 1;
    let instance = steps.len() == 2 && id.is_some();
    let body = || resource.clone().ok_or(NO_ENTRY);
    let unless = text("ifNoneExist").map(|query| match query.split_once('?') {
        Some((_, query)) => query.to_owned(),
        None => query,
    });
    let order = |id: Option<String>, query: Option<String>, act: Act| {
        let if_match = text("ifMatch");
        let if_none_match = text("ifNoneMatch");
        let order = Order { resource: ty.clone(), id, query, if_match, if_none_match, act };
        Ok(Wanted::Order(Box::new(order)))
    };
    // A search names one of the type, an id names it itself.
    let which = || match (instance, bare, condition.clone()) {
        (true, _, None) => Ok((id.clone(), None)),
        (_, true, Some(query)) => Ok((None, Some(query))),
        _ => Err(NO_ENTRY),
    };
    let wanted = match method.as_str() {
        "GET" if bare => Ok(Wanted::Search { resource: ty.clone(), patient: None, query }),
        "GET" if ty == "Patient" && steps.len() == 3 && id.is_some() => {
            let patient = id.clone().ok_or(NO_ENTRY)?;
            match steps.get(2) {
                Some(&"$everything") => Ok(Wanted::Everything { patient, query }),
                Some(of) if is_type(of) => {
                    let (resource, patient) = ((*of).to_owned(), Some(patient));
                    Ok(Wanted::Search { resource, patient, query })
                }
                _ => Err(NO_ENTRY),
            }
        }
        "GET" => match (id.clone(), steps.get(2), steps.get(3)) {
            (Some(id), None, None) => {
                let (version, unless) = (None, text("ifNoneMatch"));
                Ok(Wanted::Read { resource: ty.clone(), id, version, query, unless })
            }
            (Some(id), Some(&"_history"), Some(version)) if steps.len() == 4 => {
                let version = Some((*version).to_owned());
                let unless = text("ifNoneMatch");
                Ok(Wanted::Read { resource: ty.clone(), id, version, query, unless })
            }
            _ => Err(NO_ENTRY),
        },
        "POST" if steps.last() == Some(&"$validate") => {
            let id = match (steps.as_slice(), &id) {
                ([_, _], _) => None,
                ([_, _, _], Some(id)) => Some(id.as_str()),
                _ => return Err(NO_ENTRY),
            };
            let query = parameters(&query)?;
            let asked = Validation::read(&ty, id, &query, resource.clone())?;
            Ok(Wanted::Validate(Box::new(asked)))
        }
        "POST" if bare && condition.is_none() => {
            order(None, None, Act::Create { body: body()?, unless })
        }
        "PUT" => which().and_then(|(id, query)| order(id, query, Act::Update(body()?))),
        "PATCH" => which().and_then(|(id, query)| order(id, query, Act::Patch(patch(&body()?)?))),
        "DELETE" => which().and_then(|(id, query)| order(id, query, Act::Delete)),
        _ => Err(NO_ENTRY),
    };
    Ok(Entry { full_url, wanted: wanted? })
}

/// A JSON Patch in a Binary, as bundles carry it (R4, 3.1.0.6.1).
fn patch(binary: &Json) -> Result<Json, RecordsFault> {
    const NO_PATCH: RecordsFault = RecordsFault::Request(
        "A patch in a bundle is a Binary with contentType application/json-patch+json.",
    );
    let text = |name: &str| binary.get(name).and_then(Json::text);
    if text("resourceType") != Some("Binary")
        || text("contentType") != Some("application/json-patch+json")
    {
        return Err(NO_PATCH);
    }
    let bytes = STANDARD.decode(text("data").ok_or(NO_PATCH)?).map_err(|_| NO_PATCH)?;
    Ok(Json::parse(&bytes)?)
}
