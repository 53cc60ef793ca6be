//! One mapping, one set of rows, one list of queries: every engine finds the same resources.

use std::collections::BTreeSet;

use wardgate::fhir::SearchQuery;
use wardgate::mapping::{
    Compiled, Document, PageRequest, Position, RenderReport, RowOutcome, Shown, compile,
};
use wardgate::store::run::{fetch_counts_on, fetch_keys_on, fetch_page_on, fetch_row_on};

use crate::store_bed::Bed;

const DOCUMENT: &str = r#"
mapping: 1
database: {timezone: UTC}
codes:
  sex: {values: {"F": female, "M": male}, otherwise: other, missing: unknown}
  kind: {values: {"T": phone, "E": email}}
  mood: {values: {"á": home, "B": work}, ignore_case: true}
resources:
  - type: Patient
    from: {table: person}
    key: [site, id]
    id: "$site.$id"
    version: "$id"
    map:
      active: "$active | bool('1', '0')"
      identifier: [{system: "urn:a", value: "$ident | null('-')"}, {system: "urn:n", value: "$amount"},
        {system: "urn:u", value: "$a | upper"}, {system: "urn:l", value: "$sex | lower"}]
      name: [{family: "$a, $b | join(' ')", given: ["$b | split(' ')"]}]
      telecom:
        - {system: email, value: "$a | null('-')"}
        - each: {table: contact, match: {site: site, person: id}, order: [id]}
          item: {system: "$kind | code(kind)", value: "$value"}
      gender: "$sex | code(sex)"
      birthDate: "$born | date('dd/MM/yyyy')"
      deceasedDateTime: "$died"
      address: [{use: "$mood | code(mood)", city: "$a, $b | first"}]
      generalPractitioner: ["$ident | ref(Organization)"]
  - type: Organization
    from: {table: place}
    key: code
    id: "$code | escape"
    map: {name: "$label", identifier: [{type: {coding: [{system: "urn:t", code: X}]}, value: "$label"}]}
  - type: Location
    from: {table: place}
    key: [label, code]
    id: "l-$label-$code | escape"
    map: {name: "$label"}
  - type: Observation
    from: {table: person}
    key: [site, id]
    id: "o-$site.$id"
    map:
      status: final
      code: {coding: [{system: "urn:x", code: "$ident"}]}
      subject: "$site, $id | ref(Patient)"
      component:
        - each: {table: contact, match: {site: site, person: id}, order: [id]}
          item: {code: {coding: [{code: "$kind"}]}, valueQuantity: {value: "$weight"}}
      effectiveDateTime: "$day, $clock | datetime('dd/MM/yyyy HH:mm')"
      issued: "$seen"
      valueQuantity: {value: "$amount", unit: mg}
  - type: Practitioner
    from: {table: account}
    key: nr
    id: "$nr"
    map: {name: [{family: "$label"}]}
  - type: Flag
    from: {table: bill}
    key: id
    id: "$id"
    map: {status: active, code: {text: x}, subject: "$nr | ref(Practitioner)"}
"#;

const TABLES: &str = "CREATE TABLE person (site CHAR(3) NOT NULL, id INT NOT NULL, a VARCHAR(40),
  b VARCHAR(40), ident VARCHAR(20), sex VARCHAR(4), born VARCHAR(12), died VARCHAR(24), active INT,
  mood VARCHAR(4), day VARCHAR(12), clock VARCHAR(8), seen STAMP, amount DECIMAL(10,2),
  PRIMARY KEY (site, id));
CREATE TABLE contact (id INT PRIMARY KEY, site CHAR(3), person INT, kind VARCHAR(2), value VARCHAR(20),
  weight DOUBLE PRECISION);
CREATE TABLE place (code VARCHAR(70) NOT NULL PRIMARY KEY, label VARCHAR(20) NOT NULL, UNIQUE (label, code));
CREATE TABLE account (nr DECIMAL(20,0) NOT NULL PRIMARY KEY, label VARCHAR(20));
CREATE TABLE bill (id INT PRIMARY KEY, nr DECIMAL(20,0));
INSERT INTO account VALUES (5, 'Rey'), (-1, 'Paz'), (0, 'Sol'), (900719925474099, 'Mar');
INSERT INTO bill VALUES (1, 5), (2, -1), (3, NULL), (4, 900719925474099), (5, 77), (6, 0);
INSERT INTO place VALUES ('A1', 'Muñoz'), ('ab', 'ANA'), ('a/b', 'x'), ('-', 'ANA-1'), ('{Ж_日}', '-'), (' c', 'x'), ('', 'x'),
 ('____________________', 'x'), ('_____________________', 'x'), ('1.2.84', 'x-1'), ('-a.2Fb', 'x-'),
 ('0123456789012345678901234567890123456789012345678901234567890/', 'y');
INSERT INTO person VALUES
 ('N', 1, 'Muñoz', 'Ana María', 'A1', 'F', '05/03/1985', '2020', 1, 'Á', '05/03/1985', '08:30', '2020-01-02 03:04:05', 5.40),
 ('N', 2, ' munoz ', NULL, 'a1', 'f', '31/02/1985', '2020-05', 0, 'a', '05/03/1985', NULL, NULL, 5),
 ('N', 12, '-', 'de la Paz', '-', 'M ', '29/02/1984', '2020-05-06', 2, 'b', '31/12/1985', '24:00', '2020-05-06 00:00:00', NULL),
 ('S', 1, NULL, '  ', ' A1 ', NULL, '29/02/1985', '2020-05-06T10:00:00', NULL, 'c', 'x', '10:00', '1999-12-31 23:59:59', -1),
 ('S', 2, '', 'ANA', NULL, 'X', '05-03-1985', 'soon', 1, NULL, '31/12/1985', '23:59', NULL, 5.45),
 ('S', 4, 'Odd', 'x', 'a/b', '', NULL, NULL, 1, 'B', NULL, '08:30', NULL, 0),
 ('S', 5, 'Odd', 'y', '{Ж_日}', '', NULL, NULL, 1, 'B', NULL, '08:30', NULL, 0),
 ('S', 3, 'Ñandú', 'x', 'ab', '', '00/00/0000', '2020-05-06 10:00:00Z', 1, 'B', NULL, '08:30', NULL, 0);
INSERT INTO contact VALUES (1, 'N', 1, 'T', '555', 5.4), (2, 'N', 1, 'E', 'x@y', 1e16), (3, 'S', 2, 'E', ' ', 5.45),
 (4, 'S', 3, 'T', '5', NULL);";

const QUERIES: &str = "\
Patient family=mun|Patient family:exact=Muñoz Ana María|Patient family:contains=NA|Patient given=ana
Patient given=mar|Patient gender=female|Patient gender=other|Patient gender=unknown|Patient gender:not=male
Patient gender:missing=true|Patient identifier=A1|Patient identifier:not=A1
Patient identifier:missing=true|Patient email=x@y|Patient email:missing=true
Patient phone:missing=false|Patient phone=phone%7C555|Patient telecom=5|Patient active=true|Patient active:not=true
Patient active:missing=true|Patient birthdate=1985|Patient birthdate=1985-03-05|Patient birthdate=le1984-02-29
Patient birthdate=ne1985-03-05|Patient birthdate:missing=true|Patient death-date=2020|Patient death-date=2020-05
Patient death-date=ge2020-05-06|Patient death-date=lt2020-05-06|Patient death-date=2020-05-06T10:00:00Z
Patient deceased=true|Patient deceased=false|Patient address-use=home|Patient address-use=work
Patient address-use:missing=true|Patient address-city=ana|Patient address-city:exact=ANA|Patient _id=N.1,S.2,N.02
Patient address-city:missing=true|Patient family=mu&gender=other|Patient _sort=-_id
Observation code=urn:x%7Ca1|Observation code=urn:x%7C|Observation code:missing=true|Observation date=1985-03-05
Observation date=1985-03-05T08:30:00Z|Observation date=gt1985-03-05|Observation date:missing=true
Observation value-quantity=5.4|Observation value-quantity=lt5|Observation value-quantity:missing=true
Observation value-quantity=ne5.40|Observation date=eb1986|Observation subject:Patient.family=mun
Observation patient.gender=female|Observation patient.phone=555|Observation patient=N.1,S.2,N.1|Observation patient=N.2
Patient _has:Observation:patient:code=a1|Patient _has:Observation:subject:value-quantity=gt5.4
Patient general-practitioner.name=mu|Patient general-practitioner.name:missing=false|Patient general-practitioner=A1,ab
Organization _has:Patient:general-practitioner:gender=female|Organization _has:Patient:general-practitioner:_id=N.2,S.3
Organization _id=-a.2Fb,a%2Fb,-.7B.D0.96.5F.E6.97.A5.7D|Organization _id=--|Organization name=x|Location name=x
Organization _has:Patient:general-practitioner:family=odd|Patient general-practitioner=-a.2Fb,Organization/--
Patient general-practitioner.name=x|Location _id=l--.2D-1,l-x.2D-1.2E2,l--x.2D1-1.2.84,l-x--.5F|Location name:missing=false
Organization identifier:of-type=urn:t%7CX%7CANA|Organization name:missing=false|Observation code-value-quantity=A1$5.4
Observation component-code-value-quantity=T$5.4|Observation component-value-quantity=gt1000
Observation component-value-quantity:missing=true|Observation component-value-quantity=5.4
Observation combo-code-value-quantity=E$ge5.45|Observation _sort=-value-quantity
Patient identifier=urn:u%7CMU%C3%91OZ|Patient identifier=urn:u%7CMu%C3%B1oz|Patient identifier=urn:l%7Cf,urn:l%7Cx
Patient identifier:not=urn:u%7CODD|Patient identifier=ODD,MUNOZ|Patient birthdate=ap1985-03-05|Patient death-date=ap2020-05
Observation date=ap1985-03-05T08:30:00Z|Observation date=ap1985
Flag subject=5|Flag subject=Practitioner/-1,0|Flag subject.name=mar|Flag subject:missing=false|Flag subject=5.0
Practitioner _has:Flag:subject:_id=1|Practitioner _id=-1,900719925474099|Practitioner name:missing=false";

/// The ids a search gives, in order, walked in pages of two; its total at the end.
async fn ids(bed: &mut Bed, compiled: &Compiled, ty: &str, query: &str) -> Vec<String> {
    let query = SearchQuery::parse(&format!("{query}&_total=estimate")).unwrap();
    let query = SearchQuery { day: Some(jiff::civil::date(2020, 6, 10)), ..query };
    let mut found = Vec::new();
    let mut after: Option<Position> = None;
    loop {
        let page = PageRequest { count: 2, after: after.as_ref(), base: "http://x" };
        let plan = compiled.plan_search(ty, &query, &page).expect("a query that is served");
        let (mut conn, flavour) = bed.conn();
        let Some(source) = plan.sources.first() else { return found };
        let fetched = fetch_page_on(&mut conn, &source.plan, flavour, 1 << 20).await;
        let fetched = fetched.unwrap_or_else(|e| panic!("{flavour:?} {query:?}: {e}")).unwrap();
        let rows = source.page(&fetched.page, &fetched.children);
        for row in 0..rows.len().min(2) {
            let (mut out, mut report) = (Vec::new(), RenderReport::default());
            let outcome = rows.write(row, &Shown::All, &mut out, &mut report);
            let Some(RowOutcome::Written { id }) = outcome else { continue };
            found.push(String::from_utf8_lossy(&out[id]).into_owned());
        }
        if rows.len() <= 2 {
            let counts = plan.counts.expect("counts");
            let total = fetch_counts_on(&mut conn, &counts, flavour).await.unwrap().unwrap();
            found.push(format!("of {total}"));
            return found;
        }
        after = Some(source.position(&fetched.page, 1).expect("a key"));
    }
}

#[tokio::test]
async fn the_same_resources_are_found_on_every_engine() {
    let mut expected: Option<Vec<(String, Vec<String>)>> = None;
    let mut beds = Bed::all().await;
    // SQLite, whose answers a model checks, first.
    beds.reverse();
    for mut bed in beds {
        let flavour = bed.flavour;
        let stamp = if flavour.is_mysql() { "DATETIME" } else { "TIMESTAMP" };
        bed.execute(&TABLES.replace("STAMP", stamp)).await;
        if flavour.is_postgres() {
            // No number that can be shown, so no resource is of it.
            bed.execute(
                "INSERT INTO bill VALUES (9, 'NaN'); INSERT INTO account VALUES ('NaN', 'None')",
            )
            .await;
        }
        let catalog = bed.catalog().await;
        let document = Document::parse(DOCUMENT).expect("a document");
        let compiled = match compile(&document, &catalog) {
            Ok(compiled) => compiled,
            Err(problems) => panic!("{flavour:?}: {problems:?}"),
        };
        let mut answers = Vec::new();
        for line in QUERIES.split(['|', '\n']) {
            let (ty, query) = line.split_once(' ').expect("a type and a query");
            let mut found = ids(&mut bed, &compiled, ty, query).await;
            if !query.contains("_sort") {
                // Keys of more than letters and digits follow one another as each database orders texts.
                found.sort();
            }
            answers.push((line.to_owned(), found));
        }
        let found: BTreeSet<&String> = answers.iter().flat_map(|(_, ids)| ids).collect();
        assert!(found.len() > 12, "{flavour:?} finds next to nothing: {found:?}");
        match &expected {
            None => expected = Some(answers),
            Some(expected) => {
                for (own, wanted) in answers.iter().zip(expected) {
                    assert_eq!(own, wanted, "{flavour:?}");
                }
            }
        }
        counted(&mut bed, &compiled).await;
        reads(&mut bed, &compiled).await;
        beside(&mut bed, &compiled).await;
    }
}

/// Resources that refer to a key with places for a fraction are counted as they are shown.
async fn counted(bed: &mut Bed, compiled: &Compiled) {
    for (ty, total) in [("Flag", 5), ("Practitioner", 4)] {
        let query = SearchQuery::parse("_summary=count").unwrap();
        let page = PageRequest { count: 0, after: None, base: "" };
        let plan = compiled.plan_search(ty, &query, &page).expect("a count that is served");
        let (mut conn, flavour) = bed.conn();
        let counts = plan.counts.expect("counts");
        let counted = fetch_counts_on(&mut conn, &counts, flavour).await;
        let counted = counted.unwrap_or_else(|e| panic!("{flavour:?} {ty}: {e}")).unwrap();
        assert_eq!(counted, total, "{flavour:?} {ty}");
    }
}

/// Rows by many keys at once, and rows that refer to many.
async fn beside(bed: &mut Bed, compiled: &Compiled) {
    let wanted = ["N.1", "S.2", "n.1", "S.99"];
    let mut found = BTreeSet::new();
    for planned in compiled.plan_keys("Patient", wanted.into_iter()) {
        let (mut conn, flavour) = bed.conn();
        let got = fetch_keys_on(&mut conn, &planned.read, &planned.keys, flavour, 1 << 20).await;
        let got = got.unwrap_or_else(|e| panic!("{flavour:?}: {e}")).unwrap();
        let rows = planned.page(&got.page, &got.children);
        let has = |id: &&str| (0..rows.len()).any(|row| rows.has_id(row, id));
        found.extend(wanted.into_iter().filter(has));
    }
    assert_eq!(found, ["N.1", "S.2"].into(), "{:?}", bed.flavour);
    let references = ["Patient/N.1", "Patient/S.3", "Patient/S.77"].map(str::to_owned);
    for (param, count) in
        [(("Observation", "subject"), 2), (("Patient", "general-practitioner"), 0)]
    {
        let mut rows = 0;
        for planned in compiled.plan_referring(param, &references, 10).expect("a plan") {
            let (mut conn, flavour) = bed.conn();
            let got = fetch_page_on(&mut conn, &planned.plan, flavour, 1 << 20).await;
            rows += got.unwrap_or_else(|e| panic!("{flavour:?}: {e}")).unwrap().page.len();
        }
        assert_eq!(rows, count, "{:?}", bed.flavour);
    }
}

/// A key of two columns, one of them padded; twice, so that the second time the text is there already.
async fn reads(bed: &mut Bed, compiled: &Compiled) {
    for (id, there) in [
        ("N.1", true),
        ("S.3", true),
        ("N.1", true),
        ("n.1", false),
        ("S.12", false),
        ("N.01", false),
    ] {
        let reads = compiled.plan_read("Patient", id);
        let mut found = false;
        for read in &reads {
            let (mut conn, flavour) = bed.conn();
            let got = fetch_row_on(&mut conn, &read.read, &read.key, flavour, 1 << 20).await;
            let got = got.unwrap_or_else(|e| panic!("{flavour:?} {id}: {e}")).unwrap();
            let rows = read.page(&got.page, &got.children);
            found |= (0..rows.len()).any(|row| rows.has_id(row, id));
        }
        assert_eq!(found, there, "{:?} {id}", bed.flavour);
    }
}
