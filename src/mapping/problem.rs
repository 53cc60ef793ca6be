use serde::Serialize;

/// Whether a problem stops a mapping from being published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProblemSeverity {
    /// The mapping cannot be used.
    Error,
    /// It can; somebody should look.
    Warning,
}

impl ProblemSeverity {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong with a mapping, for the person who writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MappingProblem {
    /// Where, as an RFC 6901 pointer into the document; empty for the whole.
    pub pointer: String,
    /// What kind, a stable word with hyphens.
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to write instead; may be empty.
    pub hint: String,
    /// Whether it stops the mapping.
    pub severity: ProblemSeverity,
}

/// Collects problems, so that a person sees all of them at once.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<MappingProblem>);

impl Problems {
    pub fn error(
        &mut self,
        pointer: &str,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(ProblemSeverity::Error, pointer, code, message.into(), hint.into());
    }

    pub fn warn(
        &mut self,
        pointer: &str,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(ProblemSeverity::Warning, pointer, code, message.into(), hint.into());
    }

    fn push(
        &mut self,
        severity: ProblemSeverity,
        pointer: &str,
        code: &'static str,
        message: String,
        hint: String,
    ) {
        let pointer = pointer.to_owned();
        let problem = MappingProblem { pointer, code, message, hint, severity };
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Takes back what follows from something else that is wrong.
    pub fn forget(&mut self, code: &str) {
        self.0.retain(|p| p.code != code);
    }

    pub fn failed(&self) -> bool {
        self.0.iter().any(|p| p.severity == ProblemSeverity::Error)
    }

    pub fn into_vec(self) -> Vec<MappingProblem> {
        self.0
    }
}

/// `base/step` with the step escaped as RFC 6901 asks.
pub(super) fn pointer(base: &str, step: &str) -> String {
    format!("{base}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// The names most like `wanted`, for "did you mean": at most three, nearest first.
pub(super) fn near<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let most = (wanted.chars().count() / 3).max(2);
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let contains =
                wanted.len() > 2 && (lower.contains(&wanted) || wanted.contains(lower.as_str()));
            let distance = distance(&wanted, &lower);
            (distance <= most || (contains && lower.len() > 2)).then_some((distance, name))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// "Did you mean 'a' or 'b'?", or what else to do when nothing is near.
pub(super) fn did_you_mean<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    let near = near(wanted, names);
    if near.is_empty() {
        return otherwise.to_owned();
    }
    let quoted: Vec<String> = near.iter().map(|n| format!("'{n}'")).collect();
    format!("Did you mean {}?", quoted.join(" or "))
}

/// Edit distance of two texts cut to 64 characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut before = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, cb) in b.iter().enumerate() {
            let cost = before + usize::from(ca != *cb);
            before = row[j + 1];
            row[j + 1] = cost.min(before + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_nearest_first() {
        let names = ["nombre_pac", "id_pac", "nom_pac", "fecha"];
        assert_eq!(near("nom_pa", names), ["nom_pac"]);
        assert_eq!(near("NOMBRE_PAC", names)[0], "nombre_pac");
        assert!(near("zzzzzz", names).is_empty());
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn pointers_escape_their_steps() {
        assert_eq!(pointer("/codes", "a/b~c"), "/codes/a~1b~0c");
    }
}
