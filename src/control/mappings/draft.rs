use serde::Serialize;
use utoipa::ToSchema;

use super::super::{Control, ControlFault, Orders};
use crate::mapping::draft;

/// A first mapping, proposed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DraftView {
    /// YAML with comments. It passes the check as it stands, unless no table was recognised.
    pub text: String,
    /// What is switched on.
    pub mapped: Vec<DraftedTable>,
    /// What was recognised and is commented out.
    pub switched_off: Vec<DoubtfulTable>,
    /// How many tables nothing was made of; the text lists them.
    pub unrecognised: usize,
}

/// A table that became resources.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DraftedTable {
    /// The FHIR type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The table.
    pub table: String,
}

/// A table that was recognised and could not be used.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DoubtfulTable {
    /// The table.
    pub table: String,
    /// Why.
    pub why: String,
}

impl Control {
    /// Proposes a first mapping from a tenant's live schema and the first rows of its tables. Nothing is
    /// stored. Of the rows only counts, formats and frequent codes are in what is given out.
    pub async fn draft_mapping(
        &self,
        caller: &impl Orders,
        named: &str,
    ) -> Result<DraftView, ControlFault> {
        let tenant = self.find_for(caller, named).await?;
        let mut live = self.live(caller, &tenant).await?;
        let catalog = live.catalog(&[]).await?;
        let samples = live.samples(draft::asks(&catalog)).await;
        let drafted = draft::draft(&catalog, &samples);
        self.looked(caller, tenant.id, "mapping.draft").await?;
        let mapped = drafted.mapped.into_iter();
        let off = drafted.switched_off.into_iter();
        Ok(DraftView {
            text: drafted.text,
            mapped: mapped
                .map(|(resource_type, table)| DraftedTable { resource_type, table })
                .collect(),
            switched_off: off.map(|(table, why)| DoubtfulTable { table, why }).collect(),
            unrecognised: drafted.unrecognised,
        })
    }
}
