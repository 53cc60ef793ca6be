//! The tables and rows, and the mapping.

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub patients: u32,
    pub observations: u32,
    /// Different family names.
    pub names: u32,
    /// Patients who have observations at all.
    pub with_observations: u32,
}

/// The index that serves searches by name without regard to case and accents, as the cookbook of mappings
/// says it.
pub fn folded_index() -> String {
    let (from, to) = wardgate::mapping::fold::translation();
    format!(
        "CREATE INDEX ON patients (translate(btrim(family_name), '{from}', '{to}') text_pattern_ops); ANALYZE patients"
    )
}

/// Patients with identifiers, contacts and addresses in tables of their own, and observations; indexed as a
/// hospital would for its own use.
pub fn script(size: Size) -> String {
    let Size { patients, observations, names, with_observations } = size;
    format!(
        "CREATE TABLE patients (id bigint PRIMARY KEY, family_name text NOT NULL, given_names text NOT NULL, sex text NOT NULL, \
         birth_date date NOT NULL, active boolean NOT NULL DEFAULT true); \
         INSERT INTO patients SELECT n, 'Fam' || lpad((n % {names})::text, 6, '0') || 'x', 'Given Middle' || n, \
         CASE WHEN n % 2 = 0 THEN 'F' ELSE 'M' END, date '1950-01-01' + (n % 25000)::int FROM generate_series(1, {patients}) n; \
         CREATE TABLE identifiers (id bigint PRIMARY KEY, patient_id bigint NOT NULL, system text NOT NULL, value text NOT NULL); \
         INSERT INTO identifiers SELECT n, 1 + (n - 1) / 2, CASE WHEN n % 2 = 0 THEN 'urn:mrn' ELSE 'urn:insurance' END, 'ID-' || n \
         FROM generate_series(1, {patients} * 2) n; \
         CREATE TABLE contacts (id bigint PRIMARY KEY, patient_id bigint NOT NULL, kind text NOT NULL, value text NOT NULL, place int NOT NULL); \
         INSERT INTO contacts SELECT n, 1 + (n - 1) / 2, CASE WHEN n % 2 = 0 THEN 'T' ELSE 'E' END, \
         CASE WHEN n % 2 = 0 THEN '+56 555 ' || n ELSE 'p' || n || '@example.org' END, 1 + n % 2 FROM generate_series(1, {patients} * 2) n; \
         CREATE TABLE addresses (id bigint PRIMARY KEY, patient_id bigint NOT NULL, line text NOT NULL, city text NOT NULL, code text); \
         INSERT INTO addresses SELECT n, n, n || ' Long Street', 'City' || n % 100, CASE WHEN n % 5 > 0 THEN lpad((n % 99999)::text, 5, '0') END \
         FROM generate_series(1, {patients}) n; \
         CREATE TABLE observations (id bigint PRIMARY KEY, patient_id bigint NOT NULL, loinc text NOT NULL, label text NOT NULL, \
         result numeric NOT NULL, unit text NOT NULL, status text NOT NULL, taken_at timestamptz NOT NULL); \
         INSERT INTO observations SELECT n, 1 + n % {with_observations}, (n % 50)::text || '-1', 'Test ' || n % 50, (n % 400)::numeric / 10, 'mmol/L', \
         'final', timestamptz '2020-01-01T00:00:00Z' + (n % 2000) * interval '1 day' + (n % 1440) * interval '1 minute' \
         FROM generate_series(1, {observations}) n; \
         CREATE INDEX ON patients (family_name); CREATE INDEX ON patients (lower(family_name) text_pattern_ops); \
         CREATE INDEX ON identifiers (patient_id); CREATE INDEX ON identifiers (value); CREATE INDEX ON contacts (patient_id); \
         CREATE INDEX ON addresses (patient_id); CREATE INDEX ON observations (patient_id); CREATE INDEX ON observations (loinc, taken_at); \
         ANALYZE"
    )
}

/// The same resources as the hand-written server gives.
pub const MAPPING: &str = r#"
mapping: 1
fhir: "4.0.1"
codes:
  sex: {values: {"F": female, "M": male}, otherwise: unknown}
  kind: {values: {"T": phone, "E": email}}
  status: {values: {final: final, amended: amended}}
resources:
  - type: Patient
    from: {table: patients}
    key: id
    id: "$id"
    map:
      active: "$active"
      identifier:
        - each: {table: identifiers, match: {patient_id: id}, order: [id]}
          item: {system: "$system", value: "$value"}
      name: [{use: official, family: "$family_name", given: ["$given_names | split(' ')"]}]
      telecom:
        - each: {table: contacts, match: {patient_id: id}, order: [id]}
          item: {system: "$kind | code(kind)", value: "$value", rank: "$place | int"}
      gender: "$sex | code(sex)"
      birthDate: "$birth_date"
      address:
        - each: {table: addresses, match: {patient_id: id}, order: [id]}
          item: {use: home, line: ["$line"], city: "$city", postalCode: "$code"}
  - type: Observation
    from: {table: observations}
    key: id
    id: "$id"
    map:
      status: "$status | code(status)"
      code: {coding: [{system: "http://loinc.org", code: "$loinc", display: "$label"}]}
      subject: "$patient_id | ref(Patient)"
      effectiveDateTime: "$taken_at"
      valueQuantity: {value: "$result | decimal", unit: "$unit"}
"#;
