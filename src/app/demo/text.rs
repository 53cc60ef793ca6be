//! What the demo prints.

use std::fmt::Write as _;

use super::hospital::HOSPITALS;

/// What to paste next.
pub(super) fn welcome(
    fhir: &str,
    admin: &str,
    issuer: &str,
    folder: &str,
    program: &str,
) -> String {
    let mut text = String::new();
    let mut line = |words: &str| {
        let _infallible = writeln!(text, "{words}");
    };
    line("Three hospitals are being served. Every person in them is made up.\n");
    for hospital in &HOSPITALS {
        line(&format!("  {:<6} {:<17} {}", hospital.name, hospital.display_name, hospital.about));
    }
    line(&format!(
        "\n  panel      {admin}/panel/   (sign in as \"operator\"; at a hospital's mapping, as \"admin.north\" to look at resources)\n  FHIR API   {fhir}\n  admin API  {admin}/admin/v1/tenants\n  issuer     {issuer}\n"
    ));
    line("Paste into another terminal:\n");
    line(
        "  # answers are one line of JSON; put `| python3 -m json.tool` behind a line to read it at ease\n",
    );
    line("  # a token for a reader of each hospital; every password of the demo is \"demo\"");
    line(&format!(
        "  token() {{ curl -s {issuer}/realms/hospitals/protocol/openid-connect/token \\\n      \
         -d grant_type=password -d client_id=ward-app -d username=$1 -d password=demo \\\n      \
         | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/'; }}"
    ));
    line("  NORTH=$(token reader.north); SUR=$(token reader.sur); LAKES=$(token reader.lakes)\n");
    line(
        "  # North's patients with North's token, del Sur's with del Sur's: one URL, two databases",
    );
    line(&format!("  curl -s -H \"Authorization: Bearer $NORTH\" {fhir}/Patient"));
    line(&format!("  curl -s -H \"Authorization: Bearer $SUR\"   {fhir}/Patient"));
    line(&format!("  curl -s -H \"Authorization: Bearer $SUR\"   '{fhir}/Patient?family=munoz'"));
    line(&format!(
        "  curl -s -H \"Authorization: Bearer $LAKES\" '{fhir}/Observation?patient=L0001'\n"
    ));
    line(
        "  # what happens when North's token asks for a record of del Sur or of Lakes: 404, as if it were not there",
    );
    line(&format!("  curl -s -i -H \"Authorization: Bearer $NORTH\" {fhir}/Patient/L0001"));
    line(&format!(
        "  curl -s -i -H \"Authorization: Bearer $NORTH\" -H 'X-Tenant: sur' {fhir}/Observation/med-501"
    ));
    line("  # without a token: 401; with a writer's: 403");
    line(&format!("  curl -s -i {fhir}/Patient"));
    line(&format!(
        "  curl -s -i -H \"Authorization: Bearer $(token writer.north)\" {fhir}/Patient\n"
    ));
    line(
        "  # write: a new patient of North, stored as a row of its own table (fhir-write shows nothing back)",
    );
    line(&format!(
        "  curl -s -i -H \"Authorization: Bearer $(token writer.north)\" -H 'Content-Type: application/fhir+json' \\\n      \
         {fhir}/Patient -d '{{\"resourceType\":\"Patient\",\"active\":true,\"identifier\":[{{\"system\":\"urn:oid:2.16.840.1.113883.19.1\",\"value\":\"N-2001\"}}],\"name\":[{{\"family\":\"Sample-Irving\",\"given\":[\"Ida\"]}}],\"gender\":\"female\",\"birthDate\":\"1999-09-09\"}}'\n"
    ));
    line(
        "  # as the operator: suspend a hospital, see it count within seconds (403), and take it back",
    );
    line(&format!("  wardgate() {{ '{program}' --config '{folder}/wardgate.toml' \"$@\"; }}"));
    line("  wardgate tenant suspend sur --reason 'to see what happens'; sleep 5");
    line(&format!("  curl -s -i -H \"Authorization: Bearer $SUR\" {fhir}/Patient"));
    line("  wardgate tenant resume sur");
    line("  # who read what in North, and whether the record of it is whole");
    line("  wardgate audit export north");
    line("  wardgate audit verify north");
    line("  # the admin API, with an operator's token");
    line(&format!("  OPERATOR=$(wardgate demo token operator --data-dir '{folder}')"));
    line(&format!("  curl -s -H \"Authorization: Bearer $OPERATOR\" {admin}/admin/v1/tenants"));
    line("\nCtrl-C ends the demo. The same folder can be started again.");
    text
}
