-- A store of version 1, as the program of that version wrote it (the output of iterdump).
PRAGMA application_id = 1936744818;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE artefacts (
    trial INTEGER NOT NULL REFERENCES trials ON DELETE CASCADE,
    name TEXT NOT NULL,                     -- artefacts/<run>/<seed>/<name>.safetensors
    sha256 TEXT NOT NULL,
    UNIQUE (trial, name)
);
INSERT INTO "artefacts" VALUES(1,'net','78b286ea7d009e923ac0fb11aff4df6c23418bb6551e88365d9b40b3775ea20d');
INSERT INTO "artefacts" VALUES(2,'net','78b286ea7d009e923ac0fb11aff4df6c23418bb6551e88365d9b40b3775ea20d');
CREATE TABLE metrics (
    trial INTEGER NOT NULL REFERENCES trials ON DELETE CASCADE,
    name TEXT NOT NULL,
    value REAL,                             -- NULL where it is not finite; then flag says what it is
    flag TEXT CHECK (flag IN ('nan', 'inf', '-inf')),
    UNIQUE (trial, name)
);
INSERT INTO "metrics" VALUES(1,'accuracy',3.00000000000000044408e-01,NULL);
INSERT INTO "metrics" VALUES(1,'loss',1.33333333333333325931e+00,NULL);
INSERT INTO "metrics" VALUES(1,'share',0.5,NULL);
INSERT INTO "metrics" VALUES(1,'bound',NULL,'inf');
INSERT INTO "metrics" VALUES(2,'accuracy',3.00000000000000044408e-01,NULL);
INSERT INTO "metrics" VALUES(2,'loss',-3.66666666666666651863e+00,NULL);
INSERT INTO "metrics" VALUES(2,'share',0.5,NULL);
INSERT INTO "metrics" VALUES(2,'bound',NULL,'inf');
INSERT INTO "metrics" VALUES(3,'accuracy',3.00000000000000044408e-01,NULL);
INSERT INTO "metrics" VALUES(3,'loss',3.33333333333333314829e-01,NULL);
INSERT INTO "metrics" VALUES(3,'share',0.5,NULL);
INSERT INTO "metrics" VALUES(3,'bound',NULL,'inf');
CREATE TABLE runs (
    position INTEGER PRIMARY KEY,           -- the order in which the experiment lists its specs
    run TEXT NOT NULL UNIQUE,               -- id: hash of the canonical spec
    experiment TEXT NOT NULL,
    spec TEXT NOT NULL                      -- canonical JSON
);
INSERT INTO "runs" VALUES(1,'0c99d5e3dacc0bd0','toy','{"experiment":"toy","paths":9}');
INSERT INTO "runs" VALUES(2,'1fba814c38f9c2a5','toy','{"experiment":"toy"}');
INSERT INTO "runs" VALUES(3,'63bf25e583e2fdd8','other','{"experiment":"other"}');
CREATE TABLE series (
    trial INTEGER NOT NULL REFERENCES trials ON DELETE CASCADE,
    name TEXT NOT NULL,
    step INTEGER NOT NULL,
    value REAL,
    flag TEXT CHECK (flag IN ('nan', 'inf', '-inf'))
);
INSERT INTO "series" VALUES(1,'loss',0,NULL,'nan');
INSERT INTO "series" VALUES(1,'loss',10,NULL,'-inf');
INSERT INTO "series" VALUES(1,'loss',20,1.33333333333333325931e+00,NULL);
INSERT INTO "series" VALUES(1,'share',5,1.0,NULL);
INSERT INTO "series" VALUES(1,'share',-9223372036854775808,0.5,NULL);
INSERT INTO "series" VALUES(2,'loss',0,NULL,'nan');
INSERT INTO "series" VALUES(2,'loss',10,NULL,'-inf');
INSERT INTO "series" VALUES(2,'loss',20,-3.66666666666666651863e+00,NULL);
INSERT INTO "series" VALUES(2,'share',5,1.0,NULL);
INSERT INTO "series" VALUES(2,'share',-9223372036854775808,0.5,NULL);
INSERT INTO "series" VALUES(3,'loss',0,NULL,'nan');
INSERT INTO "series" VALUES(3,'loss',10,NULL,'-inf');
INSERT INTO "series" VALUES(3,'loss',20,3.33333333333333314829e-01,NULL);
INSERT INTO "series" VALUES(3,'share',5,1.0,NULL);
INSERT INTO "series" VALUES(3,'share',-9223372036854775808,0.5,NULL);
CREATE TABLE trials (
    trial INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (run),
    seed INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('done', 'failed', 'diverged')),
    reason TEXT,
    traceback TEXT,
    seconds REAL NOT NULL,
    environment TEXT NOT NULL,              -- JSON: versions, CPU, threads, start
    digest TEXT NOT NULL,                   -- SHA-256 over all that is kept of the trial
    UNIQUE (run, seed)
);
INSERT INTO "trials" VALUES(1,'1fba814c38f9c2a5',1,'done',NULL,NULL,0.25,'{"sparsewire": "0.3", "cpu": "abacus", "started": "2026-10-01T12:00:00+00:00"}','391441864317f20018dfdd1cfabd21d2ea8e5c86fa4cb61e73c28b3d452e39b0');
INSERT INTO "trials" VALUES(2,'0c99d5e3dacc0bd0',-4,'diverged','the loss is nan at step 2',NULL,0.5,'{"sparsewire": "0.3", "cpu": "abacus", "started": "2026-10-01T12:00:00+00:00"}','d32007fde8e566122ec467e750987a1cffdbf32709eedd03dcdfb643d8684712');
INSERT INTO "trials" VALUES(3,'1fba814c38f9c2a5',0,'failed','ValueError: no','Traceback: ü',0.125,'{}','de62d21522a9622bbe9db80036bed5b4a79aaaa4931cc2580f0f2853b170ebc7');
CREATE INDEX series_of_trial ON series (trial);
COMMIT;
