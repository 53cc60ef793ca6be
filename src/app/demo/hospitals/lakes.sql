-- Lakes Clinic: names in four columns, dates as yyyymmdd text, sex as a number, vital signs as one
-- wide row, laboratory results in another table. Sample data; every person is made up.
CREATE TABLE PERSON (
  PERSON_NO  TEXT PRIMARY KEY,
  TITLE      TEXT,
  FIRST_NM   TEXT,
  MIDDLE_NM  TEXT,
  LAST_NM    TEXT NOT NULL,
  DOB        TEXT,
  SEX_CD     INTEGER,
  STATUS     TEXT NOT NULL DEFAULT 'A',
  NHS_NO     TEXT
);
CREATE INDEX PERSON_LAST ON PERSON (LAST_NM);

CREATE TABLE VITALS (
  VITALS_ID  INTEGER PRIMARY KEY,
  PERSON_NO  TEXT NOT NULL REFERENCES PERSON (PERSON_NO),
  TAKEN_DT   TEXT NOT NULL,
  PULSE      INTEGER,
  TEMP_C     TEXT,
  WEIGHT_KG  TEXT
);
CREATE INDEX VITALS_PERSON ON VITALS (PERSON_NO);

CREATE TABLE LABS (
  LAB_ID     INTEGER PRIMARY KEY,
  PERSON_NO  TEXT NOT NULL REFERENCES PERSON (PERSON_NO),
  TEST_CD    TEXT NOT NULL,
  RESULT     TEXT,
  UNITS      TEXT,
  DONE_DT    TEXT NOT NULL,
  FINAL_FLG  TEXT NOT NULL DEFAULT 'Y'
);
CREATE INDEX LABS_PERSON ON LABS (PERSON_NO, TEST_CD);

INSERT INTO PERSON VALUES
 ('L0001', 'Ms', 'Iris',  'June', 'Demo-Lakeman', '19720410', 2, 'A', '900 000 0001'),
 ('L0002', 'Mr', 'Jon',   NULL,   'Demo-Marsh',   '19991231', 1, 'A', '900 000 0002'),
 ('L0003', '',   'Kit',   '-',    'Demo-Pool',    '',         9, 'A', NULL),
 ('L0004', 'Dr', 'Lena',  'Ruth', 'Demo-Quayle',  '1945',     2, 'D', '900 000 0004'),
 ('L0005', NULL, 'Moss',  NULL,   'Demo-Rill',    '201505',   1, 'A', '900 000 0005');

INSERT INTO VITALS VALUES
 (1, 'L0001', '202602010830', 68,   '36.5', '70.2'),
 (2, 'L0002', '202602020900', 81,   NULL,   '90.0'),
 (3, 'L0005', '202602031015', NULL, '39.1', NULL);

INSERT INTO LABS VALUES
 (9001, 'L0001', 'GLU', '5.40', 'mmol/L', '20260201', 'Y'),
 (9002, 'L0002', 'HGB', '148',  'g/L',    '20260202', 'Y'),
 (9003, 'L0004', 'GLU', '11.2', 'mmol/L', '20260204', 'N');
