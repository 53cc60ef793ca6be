-- North General: a plain schema. Sample data; every person is made up.
CREATE TABLE patients (
  id            INTEGER PRIMARY KEY,
  mrn           TEXT NOT NULL UNIQUE,
  family_name   TEXT NOT NULL,
  given_names   TEXT NOT NULL,
  sex           TEXT NOT NULL,
  birth_date    TEXT NOT NULL,
  phone         TEXT,
  email         TEXT,
  street        TEXT,
  city          TEXT,
  active        INTEGER NOT NULL DEFAULT 1,
  updated_at    TEXT NOT NULL,
  revision      INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX patients_family_name ON patients (family_name);
CREATE INDEX patients_birth_date ON patients (birth_date);

CREATE TABLE observations (
  id            INTEGER PRIMARY KEY,
  patient_id    INTEGER NOT NULL REFERENCES patients (id),
  loinc         TEXT NOT NULL,
  name          TEXT NOT NULL,
  value         TEXT NOT NULL,
  unit          TEXT NOT NULL,
  taken_at      TEXT NOT NULL,
  status        TEXT NOT NULL DEFAULT 'final',
  revision      INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX observations_patient ON observations (patient_id, loinc);

INSERT INTO patients VALUES
 (1, 'N-1001', 'Sample-Archer',  'Ada Mary',     'F', '1984-02-29', '555-0101', 'ada@example.org',   '1 Mill Lane',   'Northwick', 1, '2026-01-05T08:00:00Z', 1),
 (2, 'N-1002', 'Sample-Barlow',  'Ben',          'M', '1951-11-03', '555-0102', NULL,                '2 Mill Lane',   'Northwick', 1, '2026-01-05T08:10:00Z', 1),
 (3, 'N-1003', 'Sample-Carver',  'Cleo Jane',    'F', '2019-06-17', NULL,       NULL,                '3 High Street', 'Northwick', 1, '2026-01-06T09:00:00Z', 1),
 (4, 'N-1004', 'Sample-Dyer',    'Dan',          'M', '1990-01-01', '555-0104', 'dan@example.org',   NULL,            'Southam',   1, '2026-01-07T10:00:00Z', 1),
 (5, 'N-1005', 'Sample-Ellery',  'Eve',          'F', '1938-08-21', '555-0105', NULL,                '5 Quay',        'Southam',   0, '2026-01-08T11:00:00Z', 1),
 (6, 'N-1006', 'Sample-Fletcher','Finn Olaf',    'M', '2001-12-12', NULL,       'finn@example.org',  '6 Quay',        'Southam',   1, '2026-01-09T12:00:00Z', 1),
 (7, 'N-1007', 'Sample-Garner',  'Gil',          'O', '1977-04-30', '555-0107', NULL,                '7 Quay',        'Southam',   1, '2026-01-10T13:00:00Z', 1),
 (8, 'N-1008', 'Sample-Hayward', 'Hope',         'U', '1966-10-09', '555-0108', NULL,                NULL,            NULL,        1, '2026-01-11T14:00:00Z', 1);

INSERT INTO observations VALUES
 (101, 1, '8867-4',  'Heart rate',        '72',    '/min',   '2026-02-01T08:30:00Z', 'final', 1),
 (102, 1, '8310-5',  'Body temperature',  '36.80', 'Cel',    '2026-02-01T08:31:00Z', 'final', 1),
 (103, 1, '29463-7', 'Body weight',       '64.5',  'kg',     '2026-02-01T08:32:00Z', 'final', 1),
 (104, 2, '8867-4',  'Heart rate',        '88',    '/min',   '2026-02-02T09:00:00Z', 'final', 1),
 (105, 2, '29463-7', 'Body weight',       '81.0',  'kg',     '2026-02-02T09:05:00Z', 'amended', 1),
 (106, 3, '8310-5',  'Body temperature',  '38.20', 'Cel',    '2026-02-03T10:00:00Z', 'preliminary', 1),
 (107, 4, '8867-4',  'Heart rate',        '59',    '/min',   '2026-02-04T11:00:00Z', 'final', 1),
 (108, 5, '8867-4',  'Heart rate',        '91',    '/min',   '2026-02-05T12:00:00Z', 'final', 1),
 (109, 6, '29463-7', 'Body weight',       '77.25', 'kg',     '2026-02-06T13:00:00Z', 'final', 1),
 (110, 7, '8310-5',  'Body temperature',  '36.40', 'Cel',    '2026-02-07T14:00:00Z', 'final', 1);
