//! The privilege is in the handler's signature: `Clinician<FhirRead>` cannot be had without a token that
//! gives that right.

use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};
use uuid::Uuid;

use super::DataPlane;
use super::address;
use super::error::FhirError;
use crate::auth::{AuthFault, FhirRead, FhirWrite, Permit, Principal, Right, Shape};
use crate::base::{Deadline, TenantId};
use crate::http::request_id::RequestId;
use crate::http::token_in_query::has_token;
use crate::records::{Action, Attempt, note_refused};
use crate::telemetry::names;

/// Filled in when it is known whose request it is, for what counts it afterwards.
#[derive(Clone, Default)]
pub(super) struct Whose(Arc<OnceLock<TenantId>>);

impl Whose {
    pub(super) fn tenant(&self) -> Option<TenantId> {
        self.0.get().copied()
    }
}

/// A caller who holds right `R`, with the request's id and its deadline.
pub(super) struct Clinician<R: Right> {
    pub(super) permit: Permit<R>,
    pub(super) request: Uuid,
    pub(super) deadline: Deadline,
}

/// Who asks, before it is known what she may.
struct Known {
    principal: Principal,
    request: Uuid,
    deadline: Deadline,
}

impl<R: Right> Clinician<R> {
    async fn principal(parts: &Parts, plane: &DataPlane) -> Result<Known, FhirError> {
        let deadline = Deadline::after(plane.0.settings.request_timeout);
        let request = parts.extensions.get::<RequestId>().map_or_else(Uuid::nil, |id| id.0);
        let in_query = has_token(parts.uri.query().unwrap_or_default());
        let authority = &plane.0.authority;
        let principal = authority
            .authenticate(&parts.headers, in_query, deadline)
            .await
            .map_err(|fault| refused(&fault))?;
        if let Some(whose) = parts.extensions.get::<Whose>() {
            let _first = whose.0.set(principal.tenant());
        }
        tracing::Span::current().record("tenant", tracing::field::display(principal.tenant()));
        Ok(Known { principal, request, deadline })
    }
}

impl<R: Right> FromRequestParts<DataPlane> for Clinician<R> {
    type Rejection = FhirError;

    async fn from_request_parts(parts: &mut Parts, plane: &DataPlane) -> Result<Self, FhirError> {
        let Known { principal, request, deadline } = Self::principal(parts, plane).await?;
        let authority = &plane.0.authority;
        // The scopes for a type are checked where the type is known.
        match authority.permit::<R>(&principal, Shape::Any) {
            Ok(permit) => Ok(Self { permit, request, deadline }),
            Err(fault) => {
                let error = refused(&fault);
                write_down(parts, plane, &principal, request, error.status()).await?;
                Err(error)
            }
        }
    }
}

/// A caller who may read or write: for bundles, whose entries are each checked by themselves.
pub(super) struct Bundler {
    pub(super) reader: Option<Permit<FhirRead>>,
    pub(super) writer: Option<Permit<FhirWrite>>,
    pub(super) request: Uuid,
    pub(super) deadline: Deadline,
}

impl Bundler {
    pub(super) fn tenant(&self) -> Option<TenantId> {
        let reader = self.reader.as_ref().map(Permit::tenant);
        reader.or_else(|| self.writer.as_ref().map(Permit::tenant))
    }
}

impl FromRequestParts<DataPlane> for Bundler {
    type Rejection = FhirError;

    async fn from_request_parts(parts: &mut Parts, plane: &DataPlane) -> Result<Self, FhirError> {
        let authority = &plane.0.authority;
        let reading = Clinician::<FhirRead>::principal(parts, plane).await?;
        let reader = authority.permit::<FhirRead>(&reading.principal, Shape::Any);
        let writer = authority.permit::<FhirWrite>(&reading.principal, Shape::Any);
        let Known { principal, request, deadline } = reading;
        if let (Err(fault), Err(_)) = (&reader, &writer) {
            let error = refused(fault);
            write_down(parts, plane, &principal, request, error.status()).await?;
            return Err(error);
        }
        Ok(Self { reader: reader.ok(), writer: writer.ok(), request, deadline })
    }
}

/// Writes down that a known user was refused. What she tried is told by the route and its parameters.
async fn write_down(
    parts: &mut Parts,
    plane: &DataPlane,
    principal: &Principal,
    request: Uuid,
    status: u16,
) -> Result<(), FhirError> {
    let matched = parts.extensions.get::<MatchedPath>().cloned();
    let matched = matched.as_ref().map_or("", MatchedPath::as_str);
    let params = RawPathParams::from_request_parts(parts, &()).await.ok();
    let param = |name: &str| {
        let mut all = params.iter().flatten();
        all.find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    };
    let action = match parts.method {
        Method::PUT | Method::PATCH => Some(Action::Update),
        Method::DELETE => Some(Action::Delete),
        Method::POST if matched == address::TYPE => Some(Action::Create),
        _ => None,
    };
    let attempt = match matched {
        address::TYPE | address::INSTANCE if action.is_some() => {
            Attempt::Write(action.unwrap_or(Action::Update), param("resource"), param("id"))
        }
        address::BASE | address::BASE_SLASH => Attempt::Other("bundle"),
        address::VALIDATE | address::VALIDATE_INSTANCE => {
            Attempt::Write(Action::Validate, param("resource"), param("id"))
        }
        address::VALIDATE_PATIENT => Attempt::Write(Action::Validate, "Patient", param("id")),
        address::INSTANCE | address::VERSION => Attempt::Read(param("resource"), param("id")),
        address::TYPE | address::SEARCH_FORM | address::COMPARTMENT => {
            Attempt::Search(param("resource"))
        }
        address::EVERYTHING => Attempt::Search("Patient"),
        address::METADATA => Attempt::Other("capabilities"),
        address::EXPORT
        | address::EXPORT_PATIENTS
        | address::EXPORT_GROUP
        | address::EXPORT_ORDER
        | address::EXPORT_FILE => Attempt::Other("export"),
        "/tenant/v1/access-log" => Attempt::Other("access_log.read"),
        of if of.starts_with("/tenant/v1/mappings") => Attempt::Other("mapping"),
        _ => Attempt::Other("unknown"),
    };
    let written = note_refused(&plane.0.tenants, principal, request, attempt, status).await;
    written.map_err(|fault| FhirError::of(&fault))
}

/// Why somebody was not let in, as an answer.
pub(super) fn refused(fault: &AuthFault) -> FhirError {
    metrics::counter!(names::REFUSALS, "reason" => fault.reason()).increment(1);
    let error = FhirError::of(fault);
    match fault.www_authenticate().and_then(|text| HeaderValue::from_str(&text).ok()) {
        Some(value) => error.with(header::WWW_AUTHENTICATE, value),
        None => error,
    }
}
