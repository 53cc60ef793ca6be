//! The mapping of the hospital.

pub const DOCUMENT: &str = r#"
mapping: 1
fhir: "4.0.1"
database: {timezone: UTC}
codes:
  sex: {values: {"F": female, "M": male}, otherwise: other, missing: unknown}
  kind: {values: {"T": phone, "E": email}}
  stay: {values: {"F": finished, "P": planned}}
  mood: {values: {"á": home, "B": work}, ignore_case: true}
  status: {values: {"1": final, "0": preliminary}}
  test:
    values:
      "GLU": {code: "14749-6", system: "http://loinc.org", display: Glucose}
      "LOC": {code: "14749-6", system: "urn:local"}
      "HGB": {code: "718-7", system: "http://loinc.org"}
resources:
  - name: person
    type: Patient
    from: {table: person, filter: {gone: "0"}}
    key: id
    id: "$id"
    map:
      active: "$active | bool('1', '0')"
      identifier:
        - {system: "urn:a", value: "$ident | null('-', '0')"}
        - {use: old, value: "$a, $mood | null('-', '0') | first"}
        - {system: "urn:u", value: "$b | upper"}
      name:
        - {use: official, family: "$a, $b | join(' ')", given: ["$b | split(' ')"], prefix: [Dr]}
      telecom:
        - {system: email, value: "$a | null('-')"}
        - each: {table: contact, match: {person: id}, filter: {live: "1"}, order: [id]}
          item: {system: "$kind | code(kind)", value: "$value"}
      gender: "$sex | code(sex)"
      birthDate: "$born | date('dd/MM/yyyy')"
      deceasedBoolean: "$dead | bool('Y', 'N')"
      deceasedDateTime: "$died"
      address:
        - {use: "$mood | code(mood)", city: "$b | upper", country: "$ident | default('CL')"}
        - if: {sex: "F"}
          state: "$a"
      managingOrganization: {display: "$b"}
      generalPractitioner: ["$ward | null('-') | ref(Organization)", "$second | ref(Organization)"]
      link: [{other: "$boss | ref(Patient, person)", type: seealso}]
  - name: guest
    type: Patient
    from: {table: team}
    key: id
    id: "g-$id"
    map:
      identifier: [{system: "urn:a", value: "$number"}]
  - name: ward
    type: Organization
    from: {table: ward}
    key: code
    id: "$code | escape"
    map:
      name: "$label"
      identifier: [{system: "urn:w", value: "$code"}]
  - name: place
    type: Location
    from: {table: ward}
    key: code
    id: "$code"
    map:
      name: "$label"
      identifier: [{system: "urn:p", value: "$code"}]
  - name: stay
    type: Encounter
    from: {table: stay, filter: {ward: {not: "W-2"}}}
    key: [ward, number]
    id: "s-$ward-$number | escape"
    map:
      identifier: [{system: "urn:s", value: "$ward"}, {system: "urn:l", value: "$ward | null('-') | lower"}]
      status: "$state | code(stay)"
      class: {code: IMP}
      location: [{location: "$ward | ref(Location)"}]
      subject: {if: {state: "F"}, reference: "$person | ref(Patient, person)"}
  - name: team
    type: CareTeam
    from: {table: team}
    key: id
    id: "$id"
    map:
      identifier: [{system: "urn:t", value: "$number"}]
      participant:
        - {member: "$head | null('-') | ref(Organization)"}
        - each: {table: member, match: {team: id}, filter: {live: "1"}, order: [id]}
          item: {if: {role: "r"}, member: "$person | ref(Patient, person)", role: [{text: "$role"}]}
  - name: measured
    type: Observation
    from: {table: measured}
    key: id
    id: "m-$id"
    last_updated: "$changed"
    map:
      status: "$final | code(status)"
      code: {coding: [{system: "$test | system(test)", code: "$test | code(test)", display: "$test | display(test)"}, {system: "urn:own", code: "$test"}]}
      subject: "$person | ref(Patient, person)"
      effectiveDateTime: "$day, $clock | datetime('dd/MM/yyyy HH:mm')"
      valueQuantity: {value: "$amount", unit: "$unit", system: "http://unitsofmeasure.org", code: "$unit"}
      valueString: "$word"
      encounter: "$ward, $stay | ref(Encounter)"
      component:
        - each: {table: part, match: {measured: id}, order: [id]}
          item:
            code: {coding: [{system: "urn:p", code: "$code"}]}
            valueQuantity: {value: "$amount", unit: mg}
            valueString: "$word | null('-')"
  - name: note
    type: Observation
    from: {table: measured, filter: {word: {missing: false}}}
    key: id
    id: "n-$id"
    last_updated: "$changed2 | datetime(epoch)"
    map:
      status: final
      code: {text: "$word"}
      subject: "$ward | ref(Location)"
      effectiveDateTime: "$packed | date('yyyyMMdd')"
      valueString: "$word | null('-')"
  - name: shot
    type: Immunization
    from: {table: visit}
    key: [place, id]
    id: "v-$place-$id"
    map:
      status: completed
      vaccineCode: {text: x}
      patient: "$person | ref(Patient, person)"
      occurrenceDateTime: "$seen"
      lotNumber: "$place"
  - name: act
    type: Procedure
    from: {table: visit}
    key: uid
    id: "$uid"
    map:
      status: completed
      identifier: [{system: "urn:u", value: "$uid"}]
      subject: {display: x, reference: "$person | ref(Patient, person)"}
      performedPeriod: {start: "$began", end: "$ended"}
  - name: risk
    type: RiskAssessment
    from: {table: visit}
    key: id
    id: "r-$id"
    map:
      status: final
      subject: {display: x, reference: "$person | ref(Patient, person)"}
      occurrenceDateTime: "$began"
      prediction: [{probabilityDecimal: "$score"}, {probabilityDecimal: "$ratio"}]
  - name: nurse
    type: Practitioner
    from: {table: visit}
    key: id
    id: "$id"
    map:
      active: "$flag | bool('true|1', 'false|0')"
  - name: form
    type: QuestionnaireResponse
    from: {table: measured}
    key: id
    id: "$id"
    map:
      status: completed
      questionnaire: "$form"
  - name: illness
    type: Condition
    from: {table: visit}
    join:
      p: {table: person, match: {id: person}}
      w: {table: ward, match: {code: p.ward}}
    key: id
    id: "c-$id"
    map:
      identifier: [{system: "urn:j", value: "$p.ident | null('-', '0')"}]
      severity: {coding: [{system: "urn:x", code: "$p.sex | code(sex)"}]}
      code: {text: "$p.b", coding: [{system: "urn:w", code: "$w.label"}]}
      subject: {display: x, reference: "$person | ref(Patient, person)"}
      onsetDateTime: "$p.died"
      recordedDate: "$p.born | date('dd/MM/yyyy')"
      asserter: "$p.boss | ref(Patient, person)"
      abatementString: "$w.label"
  - name: tally
    type: ChargeItem
    from: {table: visit, filter: {$case.column: {missing: false}}}
    key: id
    id: "$case-$id"
    cases:
      score: {column: score, code: S, unit: "1"}
      ratio: {column: score, code: R, unit: "%"}
    map:
      status: billable
      code: {coding: [{system: "urn:c", code: $case.code}]}
      subject: {display: x, reference: "$person | ref(Patient, person)"}
      occurrenceDateTime: "$seen"
      quantity: {value: "$case.column | decimal", unit: $case.unit}
  - name: report
    type: DiagnosticReport
    from: {table: part, group: measured}
    key: measured
    id: "d-$measured"
    map:
      status: final
      code: {text: x}
      identifier: [{each: {group: true, filter: {code: a}}, item: {system: "urn:g", value: "$word | null('-')"}}]
      conclusionCode: [{each: {group: true}, item: {coding: [{system: "urn:p", code: "$code"}]}}]
  - name: sample
    type: Specimen
    from: {table: contact, filter: {live: "1"}, group: person}
    key: id
    id: "sp-$id"
    map:
      subject: "$person | ref(Patient, person)"
      identifier: [{each: {group: true, filter: {kind: T}}, item: {system: "urn:s", value: "$value"}}]
  - name: flag
    type: Flag
    from: {table: measured}
    key: id
    id: "f-$id"
    map:
      status: active
      code: {text: x}
      subject: "$ward | null('-') | ref(Organization)"
  - name: carer
    type: Flag
    from: {table: measured}
    key: id
    id: "e-$id"
    map:
      status: inactive
      code: {text: x}
      subject: {display: x, reference: "$person | ref(Patient, person)"}
      encounter: "$ward, $stay | ref(Encounter)"
"#;
