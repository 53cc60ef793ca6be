use serde::Serialize;
use utoipa::ToSchema;

use super::super::{Control, ControlFault, Orders};
use crate::mapping::import;

/// A document made of the flat two-table form.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ImportView {
    /// YAML.
    pub text: String,
    /// What could not be taken over as it is.
    pub notes: Vec<String>,
}

impl Control {
    /// Turns the flat two-table form (JSON) into a document for a tenant's schema. Nothing is stored.
    pub async fn import_mapping(
        &self,
        caller: &impl Orders,
        named: &str,
        json: &str,
    ) -> Result<ImportView, ControlFault> {
        let tenant = self.find_for(caller, named).await?;
        let catalog = self.live(caller, &tenant).await?.catalog(&[]).await?;
        let imported = import::import(json, &catalog);
        let imported = imported.map_err(|why| ControlFault::Invalid(why.into()))?;
        Ok(ImportView { text: imported.text, notes: imported.notes })
    }
}
