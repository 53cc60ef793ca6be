//! The flat two-table form other products keep mappings in: tables (`fhir_resource_type`,
//! `database_table_name`, `database_schema`) and fields (`fhir_path` such as `name[0].family`,
//! `database_column`, `data_type`, `transformation_id`, `is_required`, `is_primary_key`). It cannot say
//! one-to-many tables, conditions or code maps; what it says becomes a document to go on from.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use super::catalog::Catalog;
use crate::fhir::elements::{Elements, TypeDef};

/// The flat form: tables with their fields in them, or beside them by `table_mapping_id`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Flat {
    #[serde(alias = "TableMapping", alias = "tables", alias = "tableMappings")]
    table_mappings: Vec<TableMapping>,
    #[serde(alias = "FieldMapping", alias = "fields", alias = "fieldMappings")]
    field_mappings: Vec<FieldMapping>,
}

#[derive(Debug, Deserialize)]
struct TableMapping {
    #[serde(default)]
    id: Option<serde_json::Value>,
    #[serde(alias = "fhirResourceType")]
    fhir_resource_type: String,
    #[serde(alias = "databaseTableName")]
    database_table_name: String,
    #[serde(default, alias = "databaseSchema")]
    database_schema: Option<String>,
    #[serde(default, alias = "fields", alias = "fieldMappings")]
    field_mappings: Vec<FieldMapping>,
}

#[derive(Debug, Clone, Deserialize)]
struct FieldMapping {
    #[serde(default, alias = "table_mapping", alias = "tableMappingId")]
    table_mapping_id: Option<serde_json::Value>,
    #[serde(alias = "fhirPath")]
    fhir_path: String,
    #[serde(alias = "databaseColumn")]
    database_column: String,
    #[serde(default, alias = "dataType")]
    data_type: Option<String>,
    #[serde(default, alias = "transformationId")]
    transformation_id: Option<serde_json::Value>,
    #[serde(default, alias = "isPrimaryKey")]
    is_primary_key: bool,
}

/// A document made of the flat form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// YAML.
    pub text: String,
    /// What could not be taken over as it is.
    pub notes: Vec<String>,
}

/// A part of a resource under construction.
#[derive(Debug, Default)]
struct Part {
    leaf: Option<String>,
    items: BTreeMap<usize, Part>,
    members: Vec<(String, Part)>,
}

/// Turns the flat form into a document. `catalog` tells keys that the form leaves out. The error says what
/// is wrong with the form.
pub fn import(json: &str, catalog: &Catalog) -> Result<Imported, String> {
    let mut flat: Flat = serde_json::from_str(json).map_err(|e| {
        format!("this is not the flat form (line {}, column {})", e.line(), e.column())
    })?;
    let mut loose = std::mem::take(&mut flat.field_mappings);
    let mut notes = Vec::new();
    let mut text = String::from("mapping: 1\nfhir: \"4.0.1\"\ntitle: Imported\nresources:\n");
    if flat.table_mappings.is_empty() {
        return Err("there is no table in it: `table_mappings` is a list of tables".to_owned());
    }
    let alone = flat.table_mappings.len() == 1;
    let types: Vec<String> =
        flat.table_mappings.iter().map(|table| table.fhir_resource_type.clone()).collect();
    for mut table in flat.table_mappings {
        // With one table only, fields that name none are its own.
        let own = |field: &mut FieldMapping| match &field.table_mapping_id {
            Some(of) => table.id.as_ref() == Some(of),
            None => alone,
        };
        let more: Vec<FieldMapping> = loose.extract_if(.., own).collect();
        table.field_mappings.extend(more);
        entry(&table, &types, catalog, &mut text, &mut notes);
    }
    for field in loose {
        let FieldMapping { fhir_path, database_column, .. } = field;
        notes.push(format!(
            "{database_column}: of no table in the form, so '{fhir_path}' is not taken over"
        ));
    }
    Ok(Imported { text, notes })
}

fn entry(
    table: &TableMapping,
    types: &[String],
    catalog: &Catalog,
    text: &mut String,
    notes: &mut Vec<String>,
) {
    let name = &table.database_table_name;
    let schema = table.database_schema.as_deref().filter(|s| !s.is_empty());
    let known = catalog.table(schema, name);
    let keys: Vec<&FieldMapping> =
        table.field_mappings.iter().filter(|f| f.is_primary_key).collect();
    let mut key: Vec<String> = keys.iter().map(|f| f.database_column.clone()).collect();
    if key.is_empty() {
        key = known.map(|t| t.primary_key.clone()).unwrap_or_default();
        notes.push(format!("{name}: no field says is_primary_key; the table's own key was taken"));
    }
    let mut root = Part::default();
    for field in &table.field_mappings {
        let path = field.fhir_path.trim();
        let path = path
            .strip_prefix(table.fhir_resource_type.as_str())
            .and_then(|p| p.strip_prefix('.'))
            .unwrap_or(path);
        if path == "id" {
            continue;
        }
        let leaf = leaf(field, name, notes);
        if !place(&mut root, path, leaf) {
            notes.push(format!(
                "{name}.{}: the path '{path}' cannot be read",
                field.database_column
            ));
        }
    }
    let quoted = |t: &str| serde_json::Value::from(t).to_string();
    let schema = schema.map(|s| format!(", schema: {}", quoted(s))).unwrap_or_default();
    let key_list: Vec<String> = key.iter().map(|k| quoted(k)).collect();
    let id: Vec<String> = key.iter().map(|k| format!("${{{k}}}")).collect();
    let _infallible = write!(
        text,
        "  - name: {}\n    type: {}\n    from: {{table: {}{schema}}}\n    key: [{}]\n    id: {}\n    map:\n",
        quoted(name),
        table.fhir_resource_type,
        quoted(name),
        key_list.join(", "),
        quoted(&id.join("-")),
    );
    let elements = Elements::r4();
    let ty = elements.resource(&table.fhir_resource_type);
    if ty.is_none() {
        notes.push(format!("{name}: '{}' is no FHIR resource type", table.fhir_resource_type));
    }
    let mut shaper = Shaper { elements: &elements, types, notes };
    for (element, part) in &root.members {
        let written = shaper.member(ty, element, part, &format!("{name}: {element}"));
        let _infallible = writeln!(text, "      {element}: {written}");
    }
    if root.members.is_empty() {
        text.push_str("      {}\n");
    }
}

/// A column with what the form says happens to it.
fn leaf(field: &FieldMapping, table: &str, notes: &mut Vec<String>) -> String {
    let kind = field.data_type.as_deref().unwrap_or_default().to_lowercase();
    let pipe = match kind.as_str() {
        "date" => " | date",
        "datetime" | "instant" | "timestamp" => " | datetime",
        "decimal" | "number" | "float" => " | decimal",
        "integer" | "int" | "positiveint" => " | int",
        _ => "",
    };
    let column = &field.database_column;
    if let Some(transformation) = field.transformation_id.as_ref().filter(|t| !t.is_null()) {
        notes.push(format!("{table}.{column}: the transformation {transformation} is not in the form; write it as a transform"));
    }
    format!("${{{column}}}{pipe}")
}

/// Puts a leaf where its path leads: `name[0].family`, `name[0].given[1]`.
fn place(root: &mut Part, path: &str, leaf: String) -> bool {
    let mut at = root;
    for step in path.split('.') {
        let (name, index) = match step.split_once('[') {
            None => (step, None),
            Some((name, rest)) => {
                match rest.strip_suffix(']').and_then(|n| n.parse::<usize>().ok()) {
                    Some(index) if index < 100 => (name, Some(index)),
                    _ => return false,
                }
            }
        };
        if name.is_empty() || !name.chars().all(char::is_alphanumeric) {
            return false;
        }
        let place = at.members.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            at.members.push((name.to_owned(), Part::default()));
            at.members.len() - 1
        });
        let Some((_, member)) = at.members.get_mut(place) else { return false };
        at = match index {
            None => member,
            Some(index) => member.items.entry(index).or_default(),
        };
    }
    let free = at.leaf.is_none() && at.items.is_empty() && at.members.is_empty();
    at.leaf = Some(leaf);
    free
}

/// Parts as JSON, which is YAML, in the shape FHIR gives them.
struct Shaper<'s> {
    elements: &'s Elements,
    /// What else the form maps.
    types: &'s [String],
    notes: &'s mut Vec<String>,
}

impl Shaper<'_> {
    /// One element: in a list where FHIR wants one, a reference where it is one.
    fn member(&mut self, ty: Option<&TypeDef>, name: &str, part: &Part, path: &str) -> String {
        let found = ty.and_then(|ty| ty.member(name));
        let inner = found.as_ref().and_then(|found| self.elements.get(found.ty));
        let reference = found.as_ref().filter(|found| found.ty == "Reference");
        let led = reference.and_then(|found| {
            let mut fits =
                self.types.iter().filter(|ty| found.element.targets.contains(&ty.as_str()));
            let first = fits.next()?.as_str();
            let patient = self.types.iter().any(|ty| ty == "Patient");
            Some(if patient && found.element.targets.contains(&"Patient") {
                "Patient"
            } else {
                first
            })
        });
        let leads = (reference.is_some(), led);
        if !part.items.is_empty() {
            let items: Vec<String> =
                part.items.values().map(|item| self.one(inner, item, leads, path)).collect();
            return format!("[{}]", items.join(", "));
        }
        let one = self.one(inner, part, leads, path);
        if found.is_some_and(|found| found.element.many) { format!("[{one}]") } else { one }
    }

    fn one(
        &mut self,
        ty: Option<&TypeDef>,
        part: &Part,
        (reference, led): (bool, Option<&str>),
        path: &str,
    ) -> String {
        let quoted = |t: &str| serde_json::Value::from(t).to_string();
        let own = part.members.iter().find(|(name, _)| reference && name == "reference");
        let leaf = part.leaf.as_ref().or(own.and_then(|(_, part)| part.leaf.as_ref()));
        let leaf = leaf.map(|leaf| match led {
            Some(ty) => {
                self.notes.push(format!(
                    "{path}: taken for the key of a {ty}; write another type if it is of one"
                ));
                format!("{leaf} | ref({ty})")
            }
            None if reference => {
                self.notes.push(format!(
                    "{path}: say what it leads to, `| ref(Type)`; nothing in the form is it"
                ));
                leaf.clone()
            }
            None => leaf.clone(),
        });
        if let Some(leaf) = leaf.filter(|_| part.members.len() <= usize::from(own.is_some())) {
            return quoted(&leaf);
        }
        let members = part.members.iter().map(|(name, inner)| {
            let path = format!("{path}.{name}");
            format!("{}: {}", quoted(name), self.member(ty, name, inner, &path))
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tests::support::catalog;
    use crate::mapping::{Document, compile};

    const FLAT: &str = r#"{"table_mappings": [{"id": 7, "fhir_resource_type": "Patient", "database_table_name": "pacientes", "database_schema": null}],
      "field_mappings": [
        {"table_mapping_id": 7, "fhir_path": "id", "database_column": "id", "data_type": "string", "is_primary_key": true, "is_required": true, "transformation_id": null},
        {"table_mapping_id": 7, "fhir_path": "name[0].family", "database_column": "ap1", "data_type": "string", "is_required": true},
        {"table_mapping_id": 7, "fhir_path": "name[0].given[0]", "database_column": "nombre", "data_type": "string"},
        {"table_mapping_id": 7, "fhir_path": "Patient.birthDate", "database_column": "nac", "data_type": "date", "transformation_id": 3},
        {"table_mapping_id": 8, "fhir_path": "x", "database_column": "y"}]}"#;

    #[test]
    fn the_flat_form_becomes_a_document() {
        let imported = import(FLAT, &catalog()).unwrap();
        let document =
            Document::parse(&imported.text).unwrap_or_else(|p| panic!("{p:?}\n{}", imported.text));
        compile(&document, &catalog()).unwrap_or_else(|p| panic!("{p:#?}\n{}", imported.text));
        for wanted in [
            "name: [{\"family\": \"${ap1}\", \"given\": [\"${nombre}\"]}]",
            "birthDate: \"${nac} | date\"",
            "key: [\"id\"]",
        ] {
            assert!(imported.text.contains(wanted), "{wanted} in\n{}", imported.text);
        }
        // The transformation, and the field of a table that is not there.
        assert_eq!(imported.notes.len(), 2, "{:?}", imported.notes);
        assert!(imported.notes.iter().any(|note| note.contains("'x' is not taken over")));
    }

    /// As such forms are kept: no indexes, fields that name no table, keys of other tables.
    const LOOSE: &str = r#"{"tableMappings": [{"fhirResourceType": "Patient", "databaseTableName": "pacientes"}],
      "fieldMappings": [
        {"fhirPath": "Patient.name.given", "databaseColumn": "nombre"},
        {"fhirPath": "Patient.address.line", "databaseColumn": "nombre"},
        {"fhirPath": "Patient.contact.name.given", "databaseColumn": "nombre"},
        {"fhirPath": "Patient.link[0].other", "databaseColumn": "id"},
        {"fhirPath": "Patient.managingOrganization.reference", "databaseColumn": "id"}]}"#;

    #[test]
    fn what_repeats_is_a_list_and_a_key_leads_somewhere() {
        let imported = import(LOOSE, &catalog()).unwrap();
        for wanted in [
            r#"name: [{"given": ["${nombre}"]}]"#,
            r#"address: [{"line": ["${nombre}"]}]"#,
            r#"contact: [{"name": {"given": ["${nombre}"]}}]"#,
            r#"link: [{"other": "${id} | ref(Patient)"}]"#,
        ] {
            assert!(imported.text.contains(wanted), "{wanted} in\n{}", imported.text);
        }
        let told = |what: &str| imported.notes.iter().any(|note| note.contains(what));
        assert!(told("managingOrganization: say what it leads to"), "{:?}", imported.notes);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert!(import("{", &catalog()).is_err() && import("{}", &catalog()).is_err());
        let odd = FLAT.replace("name[0].family", "name[x].family");
        assert!(
            import(&odd, &catalog()).unwrap().notes.iter().any(|n| n.contains("name[x].family"))
        );
    }
}
