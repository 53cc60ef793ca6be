/// `_include` or `_revinclude`: `Type:parameter` or `Type:parameter:Target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The type that holds the references.
    pub source: String,
    /// Its reference parameter, or `*` for all of them.
    pub param: String,
    /// Only references to that type.
    pub target: Option<String>,
}

impl Include {
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split(':');
        let (source, param, target) = (parts.next()?, parts.next()?, parts.next());
        let good = |part: &str| {
            let mut letters = part.bytes();
            part == "*" || letters.all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let all = [Some(source), Some(param), target];
        let whole = all.into_iter().flatten().all(|part| !part.is_empty() && good(part));
        (whole && parts.next().is_none() && source != "*").then(|| Self {
            source: source.to_owned(),
            param: param.to_owned(),
            target: target.map(str::to_owned),
        })
    }
}

impl std::fmt::Display for Include {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.source, self.param)?;
        self.target.iter().try_for_each(|target| write!(f, ":{target}"))
    }
}
