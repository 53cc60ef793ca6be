-- Hospital del Sur: a Spanish schema with flags '1'/'0', dates as dd/mm/aaaa and contacts in a table
-- of their own. Sample data; every person is made up.
CREATE TABLE pacientes (
  id_paciente     INTEGER PRIMARY KEY,
  rut_paciente    TEXT NOT NULL UNIQUE,
  nombre_paciente TEXT NOT NULL,
  ap_paterno      TEXT NOT NULL,
  ap_materno      TEXT,
  sexo            TEXT,
  fec_nacimiento  TEXT,
  activo          TEXT NOT NULL DEFAULT '1',
  borrado         TEXT NOT NULL DEFAULT '0',
  calle           TEXT,
  comuna          TEXT
);
CREATE INDEX pacientes_ap_paterno ON pacientes (ap_paterno);

CREATE TABLE contactos (
  id_contacto  INTEGER PRIMARY KEY,
  id_paciente  INTEGER NOT NULL REFERENCES pacientes (id_paciente),
  tipo         TEXT NOT NULL,
  valor        TEXT NOT NULL,
  orden        INTEGER NOT NULL,
  vigente      TEXT NOT NULL DEFAULT '1'
);
CREATE INDEX contactos_paciente ON contactos (id_paciente);

CREATE TABLE mediciones (
  id_medicion  INTEGER PRIMARY KEY,
  id_paciente  INTEGER NOT NULL REFERENCES pacientes (id_paciente),
  cod_medicion TEXT NOT NULL,
  resultado    TEXT,
  fecha        TEXT NOT NULL,
  hora         TEXT NOT NULL,
  validado     TEXT NOT NULL DEFAULT '1'
);
CREATE INDEX mediciones_paciente ON mediciones (id_paciente, cod_medicion);

INSERT INTO pacientes VALUES
 (1, '11111111-1', 'Ana María',  'Muñoz-Ejemplo',   'Rojas',  'F', '05/03/1985', '1', '0', 'Av. Uno 100',  'Valdivia'),
 (2, '22222222-2', 'Benjamín',   'Pérez-Ejemplo',   NULL,     'M', '29/02/1960', '1', '0', 'Av. Dos 200',  'Valdivia'),
 (3, '33333333-3', 'Carla',      'Ñancul-Ejemplo',  'Soto',   'F', '17/11/2003', '1', '0', NULL,           'Osorno'),
 (4, '44444444-4', 'Diego',      'Álvarez-Ejemplo', 'Vera',   'M', '01/01/1990', '0', '0', 'Av. Cuatro 4', 'Osorno'),
 (5, '55555555-5', 'Elisa',      'Güell-Ejemplo',   'Díaz',   'F', '31/02/1985', '1', '0', NULL,           NULL),
 (6, '66666666-6', 'Retirado',   'Borrado-Ejemplo', NULL,     'M', '12/12/1955', '0', '1', NULL,           NULL),
 (7, '77777777-7', 'Gabi',       'Ibáñez-Ejemplo',  NULL,     'X', '09/08/1999', '1', '0', NULL,           'Valdivia');

INSERT INTO contactos VALUES
 (1, 1, 'T', '+56 9 5550 0001',   1, '1'),
 (2, 1, 'E', 'ana@example.org',   2, '1'),
 (3, 2, 'T', '+56 9 5550 0002',   1, '1'),
 (4, 2, 'T', '+56 9 5550 9999',   2, '0'),
 (5, 3, 'E', 'carla@example.org', 1, '1'),
 (6, 7, 'T', '+56 9 5550 0007',   1, '1');

INSERT INTO mediciones VALUES
 (501, 1, 'FC',   '70',    '01/02/2026', '08:30', '1'),
 (502, 1, 'TEMP', '36,60', '01/02/2026', '08:31', '1'),
 (503, 2, 'FC',   '64',    '02/02/2026', '09:00', '1'),
 (504, 3, 'PESO', '58,5',  '03/02/2026', '10:15', '0'),
 (505, 4, 'FC',   '75',    '04/02/2026', '11:45', '1'),
 (506, 7, 'TEMP', '37,10', '05/02/2026', '23:59', '1');
