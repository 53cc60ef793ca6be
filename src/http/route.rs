//! Registering routes together with who is let in, so that the table of both cannot miss one.

use std::fmt::Write as _;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{delete, get, patch, post, put};

use super::{admin, fhir, panel};

/// Who is let in at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody; a token changes nothing.
    Public,
    /// Anybody, and with a token whoever may read.
    PublicOrRead,
    /// Clinicians who may read.
    Read,
    /// Clinicians who may write.
    Write,
    /// Clinicians who may read or write.
    ReadOrWrite,
    /// A hospital's own administrator.
    HospitalAdmin,
    /// A hospital's own administrator who may also read its patients.
    HospitalAdminWhoReads,
    /// The platform's operators.
    Operator,
    /// Operators with the approver's role; one without is the column's.
    Approver,
    /// An operator's session in a browser, which no token stands for.
    Session,
}

/// The tokens of the table's columns: none at all, one with each role of a clinician, one of who may only look
/// at what operators do, an operator's, and one of an issuer that is not registered.
pub const CALLERS: [&str; 7] =
    ["none", "fhir-read", "fhir-write", "fhir-admin", "viewer", "operator", "other issuer"];

impl Access {
    /// What each of [`CALLERS`] gets with that method: `401`, `403`, `sign-in` for the way to the sign-in, or
    /// `in` for whoever is let in.
    pub fn answers(self, method: &str) -> [&'static str; 7] {
        match self {
            Self::Public => ["in"; 7],
            Self::PublicOrRead => ["in", "in", "403", "403", "401", "401", "401"],
            Self::Read => ["401", "in", "403", "403", "401", "401", "401"],
            Self::Write => ["401", "403", "in", "403", "401", "401", "401"],
            Self::ReadOrWrite => ["401", "in", "in", "403", "401", "401", "401"],
            Self::HospitalAdmin => ["401", "403", "403", "in", "401", "401", "401"],
            // No role alone is enough.
            Self::HospitalAdminWhoReads => ["401", "403", "403", "403", "401", "401", "401"],
            Self::Operator => {
                let looks = if method == "GET" { "in" } else { "403" };
                ["401", "401", "401", "401", looks, "in", "401"]
            }
            Self::Approver => ["401", "401", "401", "401", "403", "403", "401"],
            Self::Session => ["sign-in"; 7],
        }
    }
}

/// An address, a method, and who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `fhir`, `admin`, or `panel`, which is on the admin listener.
    pub listener: &'static str,
    /// HTTP method.
    pub method: String,
    /// Path with its parameters in braces.
    pub path: String,
    /// Who is let in.
    pub access: Access,
}

/// Every route of both listeners and the panel, by listener, path and method.
pub fn routes() -> Vec<Route> {
    let mut all = fhir::routes();
    all.extend(admin::routes());
    all.extend(panel::routes());
    all.sort_by(|a, b| (b.listener, &a.path, &a.method).cmp(&(a.listener, &b.path, &b.method)));
    all
}

/// [`routes`] as the Markdown table of `docs/ROUTES.md`.
pub fn table() -> String {
    let mut text = format!("| listener | method | path | {} |\n", CALLERS.join(" | "));
    let _infallible = writeln!(text, "|{}", "---|".repeat(3 + CALLERS.len()));
    for Route { listener, method, path, access } in routes() {
        let answers = access.answers(&method).join(" | ");
        let _infallible = writeln!(text, "| {listener} | {method} | `{path}` | {answers} |");
    }
    text
}

/// A router and the rows of its routes.
pub(super) struct Routes<S> {
    pub(super) router: Router<S>,
    pub(super) rows: Vec<Route>,
    listener: &'static str,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet, of that listener.
    pub(super) fn new(listener: &'static str) -> Self {
        Self { router: Router::new(), rows: Vec::new(), listener }
    }

    pub(super) fn get<H: Handler<T, S>, T: 'static>(
        mut self,
        path: &str,
        access: Access,
        handler: H,
    ) -> Self {
        self.row("GET", path, access);
        self.router = self.router.route(path, get(handler));
        self
    }

    pub(super) fn post<H: Handler<T, S>, T: 'static>(
        mut self,
        path: &str,
        access: Access,
        handler: H,
    ) -> Self {
        self.row("POST", path, access);
        self.router = self.router.route(path, post(handler));
        self
    }

    pub(super) fn put<H: Handler<T, S>, T: 'static>(
        mut self,
        path: &str,
        access: Access,
        handler: H,
    ) -> Self {
        self.row("PUT", path, access);
        self.router = self.router.route(path, put(handler));
        self
    }

    pub(super) fn patch<H: Handler<T, S>, T: 'static>(
        mut self,
        path: &str,
        access: Access,
        handler: H,
    ) -> Self {
        self.row("PATCH", path, access);
        self.router = self.router.route(path, patch(handler));
        self
    }

    pub(super) fn delete<H: Handler<T, S>, T: 'static>(
        mut self,
        path: &str,
        access: Access,
        handler: H,
    ) -> Self {
        self.row("DELETE", path, access);
        self.router = self.router.route(path, delete(handler));
        self
    }

    fn row(&mut self, method: &str, path: &str, access: Access) {
        let (method, path) = (method.to_owned(), path.to_owned());
        self.rows.push(Route { listener: self.listener, method, path, access });
    }
}
