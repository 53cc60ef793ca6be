//! One table of patients, and its mapping: what a read by id is measured on.

/// The mapping.
pub const MAPPING: &str = r#"
mapping: 1
fhir: "4.0.1"
codes: {sex: {values: {"F": female, "M": male}, otherwise: unknown}}
resources:
  - type: Patient
    from: {table: patients}
    key: id
    id: "$id"
    map:
      active: "$active"
      identifier: [{use: usual, system: "urn:bench", value: "$mrn"}]
      name: [{use: official, family: "$family_name", given: ["$given_names | split(' ')"]}]
      telecom: [{system: phone, value: "$phone"}, {system: email, value: "$email"}]
      gender: "$sex | code(sex)"
      birthDate: "$birth_date"
      address: [{line: ["$street"], city: "$city"}]
"#;

/// Statements that make and fill the table.
pub fn patients(count: u32) -> String {
    format!(
        "CREATE TABLE patients (id bigint PRIMARY KEY, mrn text NOT NULL UNIQUE, family_name text NOT NULL, \
         given_names text NOT NULL, sex text NOT NULL, birth_date date NOT NULL, phone text, email text, \
         street text, city text, active boolean NOT NULL DEFAULT true); \
         INSERT INTO patients SELECT n, 'M-' || n, 'Family' || n, 'Given Middle' || n, \
         CASE WHEN n % 2 = 0 THEN 'F' ELSE 'M' END, date '1950-01-01' + (n % 25000)::int, '555-' || n, \
         'p' || n || '@example.org', n || ' Long Street', 'City' || n % 100 \
         FROM generate_series(1, {count}) n; ANALYZE patients"
    )
}
