//! The three hospitals: schema and data, mapping, users.

use std::path::Path;

use sqlx::ConnectOptions as _;
use sqlx::Executor as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::issuer::DemoUser;
use crate::app::StartFault;

/// One of the demo's hospitals.
pub(super) struct Hospital {
    /// Slug, claim value and file name.
    pub(super) name: &'static str,
    /// Name for people.
    pub(super) display_name: &'static str,
    /// What is special about its schema.
    pub(super) about: &'static str,
    schema: &'static str,
    /// Its mapping document.
    pub(super) mapping: &'static str,
}

/// The hospitals.
pub(super) const HOSPITALS: [Hospital; 3] = [
    Hospital {
        name: "north",
        display_name: "North General",
        about: "a plain schema",
        schema: include_str!("hospitals/north.sql"),
        mapping: include_str!("hospitals/north.yaml"),
    },
    Hospital {
        name: "sur",
        display_name: "Hospital del Sur",
        about: "Spanish columns, flags '1'/'0', dates as dd/mm/yyyy",
        schema: include_str!("hospitals/sur.sql"),
        mapping: include_str!("hospitals/sur.yaml"),
    },
    Hospital {
        name: "lakes",
        display_name: "Lakes Clinic",
        about: "names in four columns, dates as yyyymmdd, one row is several observations",
        schema: include_str!("hospitals/lakes.sql"),
        mapping: include_str!("hospitals/lakes.yaml"),
    },
];

/// The password of every demo user; shown to everybody.
pub(super) const PASSWORD: &str = "demo";

/// Everybody who can sign in: a reader, a writer and an administrator for each hospital, and an operator and a
/// viewer of the platform. `others` are hospitals that somebody registers beside the demo's own.
pub(super) fn users(others: &[String]) -> Vec<DemoUser> {
    let user = |username: String, tenant: Option<&str>, roles: &[&str]| DemoUser {
        username,
        password: PASSWORD.to_owned(),
        tenant: tenant.map(str::to_owned),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    };
    let mut users = Vec::new();
    let others = others.iter().map(String::as_str);
    for name in HOSPITALS.iter().map(|hospital| hospital.name).chain(others) {
        users.push(user(format!("reader.{name}"), Some(name), &["fhir-read"]));
        users.push(user(format!("writer.{name}"), Some(name), &["fhir-write"]));
        users.push(user(format!("admin.{name}"), Some(name), &["fhir-admin", "fhir-read"]));
    }
    users.push(user("operator".to_owned(), None, &["wardgate-operator"]));
    users.push(user("viewer".to_owned(), None, &["wardgate-viewer"]));
    users
}

impl Hospital {
    /// The file's name.
    pub(super) fn file(&self) -> String {
        format!("{}.db", self.name)
    }

    /// Makes the file with its data, unless it is there already.
    pub(super) async fn create(&self, folder: &Path) -> Result<(), StartFault> {
        let path = folder.join(self.file());
        if path.exists() {
            return Ok(());
        }
        let fault =
            |_| StartFault::Setting(format!("the demo's file {} cannot be made", path.display()));
        // A file that was begun and not finished is not taken for a hospital at the next start.
        let draft = folder.join(format!("{}.draft", self.name));
        let _none = std::fs::remove_file(&draft);
        let options = SqliteConnectOptions::new()
            .filename(&draft)
            .create_if_missing(true)
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(fault)?;
        connection.execute(sqlx::raw_sql(self.schema)).await.map_err(fault)?;
        sqlx::Connection::close(connection).await.map_err(fault)?;
        std::fs::rename(&draft, &path)
            .map_err(|error| StartFault::File(path.display().to_string(), error.kind()))
    }
}
