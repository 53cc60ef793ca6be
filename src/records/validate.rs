//! `$validate` (FHIR R4, Resource-validate): what FHIR and this hospital's mapping would say of a change,
//! without making it.
//!
//! The body goes through the same code as a body that is to be stored, up to the first statement that would
//! change a row. Of a resource that is there, the row is read. What only storing it would tell (unique and
//! foreign keys, checks, triggers) is not said.

use super::answer::{Access, write_down};
use super::change::Writing;
use super::fault::RecordsFault;
use super::prepare;
use super::step::Job;
use crate::audit::{Action, Outcome, Target as AuditTarget};
use crate::auth::{FhirWrite, Interaction};
use crate::base::Flag;
use crate::fhir::issue::MAX_ISSUES;
use crate::fhir::{Issue, Json};
use crate::mapping::Target;
use crate::store;
use crate::store::run::FetchedPage;
use crate::tenant::Session;

/// What is to be tried (the operation's `mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// A new resource.
    Create,
    /// A change of the resource of the address.
    Update,
    /// The end of the resource of the address.
    Delete,
}

/// What is to be validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// Type of resource.
    pub resource: String,
    /// The resource of the address; none for a new one.
    pub id: Option<String>,
    /// What is to be tried.
    pub trial: Trial,
    /// The profiles it is to be held against.
    pub profiles: Vec<String>,
    /// What would be sent; none for a deletion.
    pub body: Option<Json>,
}

impl Validation {
    /// From the address, its query (`mode` and `profile`, as sent and decoded), and the body: a resource, or
    /// `Parameters` with one.
    ///
    /// # Errors
    /// [`RecordsFault::Request`] when it is not said, or said twice, what is meant.
    pub fn read(
        resource: &str,
        id: Option<&str>,
        query: &[(String, String)],
        body: Option<Json>,
    ) -> Result<Self, RecordsFault> {
        let mut asked = Asked::default();
        for (name, value) in query {
            asked.word(name, Some(value))?;
        }
        let named = body.as_ref().and_then(|body| body.get("resourceType")).and_then(Json::text);
        match (named == Some("Parameters"), body) {
            (true, Some(body)) => asked.parameters(body)?,
            (_, body) => asked.body = body,
        }
        let trial = match (asked.mode.as_deref(), id) {
            (None | Some("create"), None) => Trial::Create,
            (None | Some("update"), Some(_)) => Trial::Update,
            (Some("delete"), Some(_)) => Trial::Delete,
            (Some("update" | "delete"), None) => {
                return Err(RecordsFault::Request(
                    "Name the resource: send modes update and delete to Type/id/$validate.",
                ));
            }
            (Some("create"), Some(_)) => {
                return Err(RecordsFault::Request("Send mode create to Type/$validate."));
            }
            (Some(_), _) => {
                return Err(RecordsFault::Request("mode is create, update or delete."));
            }
        };
        // Of a deletion the content does not count.
        let body = asked.body.filter(|_| trial != Trial::Delete);
        if body.is_none() && trial != Trial::Delete {
            return Err(RecordsFault::Request("The parameter 'resource' is missing."));
        }
        let (resource, id) = (resource.to_owned(), id.map(str::to_owned));
        Ok(Self { resource, id, trial, profiles: asked.profiles, body })
    }

    const fn interaction(&self) -> Interaction {
        match self.trial {
            Trial::Create => Interaction::Create,
            Trial::Update => Interaction::Update,
            Trial::Delete => Interaction::Delete,
        }
    }

    fn access(&self) -> Access<'_> {
        let target = self.id.clone().map_or(AuditTarget::None, AuditTarget::One);
        Access { action: Action::Validate, resource_type: &self.resource, target }
    }

    /// Profiles that are more than R4's own definition of the type.
    fn unknown_profiles(&self) -> impl Iterator<Item = Issue> {
        let own = format!("http://hl7.org/fhir/StructureDefinition/{}", self.resource);
        let known = move |profile: &&String| {
            let (url, version) =
                profile.split_once('|').map_or((profile.as_str(), None), |(u, v)| (u, Some(v)));
            url == own && version.is_none_or(|version| matches!(version, "4.0" | "4.0.1"))
        };
        let message = "Only FHIR R4 itself and the organisation's mapping are checked here; that \
                       profile is not.";
        let unknown = self.profiles.iter().filter(move |profile| !known(profile));
        unknown.map(move |_| Issue::new("not-supported", self.resource.as_str(), message))
    }
}

/// What a request said so far.
#[derive(Default)]
struct Asked {
    mode: Option<String>,
    profiles: Vec<String>,
    body: Option<Json>,
}

impl Asked {
    fn parameters(&mut self, mut parameters: Json) -> Result<(), RecordsFault> {
        let Some(Json::List(items)) = parameters.take("parameter") else {
            return Err(RecordsFault::Request("Parameters has no parameter."));
        };
        for mut item in items {
            let name = item.get("name").and_then(Json::text).unwrap_or_default().to_owned();
            if name == "resource" {
                let resource = item.take("resource");
                if resource.is_none() || self.body.is_some() {
                    let message = "The parameter 'resource' holds one resource.";
                    return Err(RecordsFault::Request(message));
                }
                self.body = resource;
                continue;
            }
            let kinds = ["valueCode", "valueUri", "valueCanonical", "valueUrl", "valueString"];
            let value = kinds.iter().find_map(|kind| item.get(kind).and_then(Json::text));
            self.word(&name, value)?;
        }
        Ok(())
    }

    fn word(&mut self, name: &str, value: Option<&str>) -> Result<(), RecordsFault> {
        match (name, value) {
            ("mode", Some(value)) if self.mode.is_none() => self.mode = Some(value.to_owned()),
            ("profile", Some(value)) => self.profiles.push(value.to_owned()),
            ("mode" | "profile", _) => {
                let message = "The parameter mode is one code, profile is a uri.";
                return Err(RecordsFault::Request(message));
            }
            _ => {
                let message = "$validate takes the parameters resource, mode and profile.";
                return Err(RecordsFault::Request(message));
            }
        }
        Ok(())
    }
}

impl Session<FhirWrite> {
    /// Everything that speaks against a change; nothing when nothing does. Written down before it is known
    /// outside.
    ///
    /// # Errors
    /// As for the change itself, but for what is wrong with its body: that is the answer.
    pub async fn validate(
        &self,
        asked: &Validation,
        with: &Writing,
    ) -> Result<Vec<Issue>, RecordsFault> {
        let ty = asked.resource.as_str();
        // What a row would not take tells what is in it.
        let reads = || with.reader.as_ref().is_some_and(|p| p.allows(ty, Interaction::Read));
        if !self.permit().allows(ty, asked.interaction()) || (asked.id.is_some() && !reads()) {
            write_down(self, asked.access(), Outcome::Denied, 403).await?;
            return Err(RecordsFault::Scope);
        }
        self.offered(Flag::Write)?;
        let mapping = self.mapping()?;
        if !mapping.compiled.maps(ty) {
            return Err(RecordsFault::NoSuchType);
        }
        let job = self.job(with)?;
        let mut issues: Vec<Issue> = asked.unknown_profiles().collect();
        let sent = asked.body.as_ref().map(|body| {
            let (sent, judged) = job.judged(ty, body);
            issues.extend(judged);
            sent
        });
        let found = match (&asked.id, sent) {
            (None, Some(sent)) => created(&job, ty, sent),
            (None, None) => return Err(RecordsFault::Internal),
            (Some(id), sent) => match self.row(&job, ty, id).await? {
                Some((target, fetched)) => changed(&job, &target, &fetched, id, sent.as_ref()),
                None => vec![Issue::new("not-found", ty, "There is no such resource.")],
            },
        };
        // Where FHIR has spoken of an element, the mapping need not.
        let said: Vec<String> = issues.iter().map(|issue| issue.expression.clone()).collect();
        let known = |issue: &Issue| said.iter().any(|path| within(&issue.expression, path));
        issues.extend(found.into_iter().filter(|issue| !known(issue)));
        issues.truncate(MAX_ISSUES);
        write_down(self, asked.access(), Outcome::Success, 200).await?;
        Ok(issues)
    }

    /// The row of a resource, read and not locked.
    async fn row(
        &self,
        job: &Job,
        ty: &str,
        id: &str,
    ) -> Result<Option<(Target, FetchedPage)>, RecordsFault> {
        let mapping = self.mapping()?;
        let targets = job.compiled.plan_targets(ty, id);
        if targets.is_empty() {
            return Ok(None);
        }
        let mut lease = self.lease().await?;
        for target in targets {
            let key = target.key.clone();
            let fetched = store::fetch_row(&mut lease, target.read(), key, self.deadline()).await;
            let fetched = match fetched {
                Ok(fetched) => fetched,
                Err(fault) => {
                    drop(lease);
                    return Err(self.refused(&mapping, fault).await);
                }
            };
            let there = fetched.page.len() == 1
                && target.page(&fetched.page, &fetched.children).has_id(0, id);
            if there {
                return Ok(Some((target, fetched)));
            }
        }
        Ok(None)
    }
}

fn not_writable(ty: &str, what: &'static str) -> Vec<Issue> {
    use crate::base::Fault as _;
    let message = RecordsFault::NotWritable(what).client_message().into_owned();
    vec![Issue::new("not-supported", ty, message)]
}

/// What the mapping says of a new resource.
fn created(job: &Job, ty: &str, mut sent: Json) -> Vec<Issue> {
    if !job.compiled.powers(ty).create {
        return not_writable(ty, "new resources");
    }
    sent.take("id");
    job.compiled.plan_create(ty, &sent, &job.fresh()).err().unwrap_or_default()
}

/// What the mapping says of a change of a row, or of its end.
fn changed(
    job: &Job,
    target: &Target,
    fetched: &FetchedPage,
    id: &str,
    sent: Option<&Json>,
) -> Vec<Issue> {
    let (ty, powers) = (target.resource_type(), target.powers());
    let Some(sent) = sent else {
        return if powers.delete { Vec::new() } else { not_writable(ty, "deletions") };
    };
    let mut issues: Vec<Issue> = prepare::other_id(ty, sent, id, false).into_iter().collect();
    if !powers.update {
        issues.extend(not_writable(ty, "changes"));
        return issues;
    }
    let (page, children) = (&fetched.page, &fetched.children);
    let update = target.plan_update(page, children, sent, &job.fresh(), false);
    issues.extend(update.err().unwrap_or_default());
    issues
}

/// Whether an element is another one or inside it. The whole resource holds nothing in this sense: what is
/// said of it is not said of its elements.
fn within(path: &str, other: &str) -> bool {
    path == other
        || other.contains('.')
            && path.strip_prefix(other).is_some_and(|rest| rest.starts_with(['.', '[']))
}
