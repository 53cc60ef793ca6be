/// One sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// The search parameter.
    pub param: String,
    /// Largest first.
    pub descending: bool,
}

/// `_summary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Summary {
    /// Everything.
    #[default]
    False,
    /// Elements marked as summary.
    True,
    /// Text, id, meta and required elements.
    Text,
    /// Everything but text.
    Data,
    /// The total only.
    Count,
}

/// `_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Total {
    /// Not asked for.
    #[default]
    None,
    /// A guess will do.
    Estimate,
    /// The exact number.
    Accurate,
}
