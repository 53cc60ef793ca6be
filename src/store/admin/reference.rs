use super::{Admin, AdminFault};

/// `list;code;system;display` a line.
const CODES: &str = include_str!("../../../tenant-migrations/reference_codes.csv");

/// Loads the shipped codes; those that are there already are brought up to date.
pub async fn load_reference(admin: &mut Admin) -> Result<u64, AdminFault> {
    let mut rows = Vec::new();
    for line in CODES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let cells: Vec<String> =
            line.split(';').map(|cell| format!("'{}'", cell.trim().replace('\'', "''"))).collect();
        rows.push(format!("({})", cells.join(", ")));
    }
    // A word of MySQL's own.
    let (system, update) = if admin.flavour().is_mysql() {
        (
            "`system`",
            "ON DUPLICATE KEY UPDATE `system` = VALUES(`system`), display = VALUES(display)",
        )
    } else {
        (
            "system",
            "ON CONFLICT (list, code) DO UPDATE SET system = excluded.system, display = excluded.display",
        )
    };
    let (count, values) = (rows.len(), rows.join(", "));
    let sql = format!(
        "INSERT INTO reference_codes (list, code, {system}, display) VALUES {values} {update}"
    );
    admin.command(&sql).await?;
    Ok(count as u64)
}
