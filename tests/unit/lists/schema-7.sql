-- A list of tasks as schema version 7 wrote it. Never edited.
BEGIN TRANSACTION;
CREATE TABLE hold (until REAL NOT NULL, since REAL NOT NULL DEFAULT 0) STRICT;
CREATE TABLE reader (oldest INTEGER NOT NULL) STRICT;
INSERT INTO "reader" VALUES(7);
CREATE TABLE request (at REAL NOT NULL) STRICT;
CREATE TABLE task (
        task_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        subscription_key TEXT UNIQUE,
        task_uuid TEXT NOT NULL,
        status TEXT NOT NULL,
        jobs TEXT NOT NULL,
        watch TEXT NOT NULL,
        trouble TEXT NOT NULL,
        tracked_at REAL NOT NULL,
        finished_at REAL NOT NULL,
        checked_at REAL NOT NULL,
        next_check_at REAL NOT NULL,
        interval REAL NOT NULL,
        failures INTEGER NOT NULL,
        watched REAL NOT NULL,
        folder TEXT NOT NULL DEFAULT '',
        files TEXT NOT NULL DEFAULT '[]',
        download TEXT NOT NULL DEFAULT '',
        took REAL NOT NULL DEFAULT 0,
        kind TEXT NOT NULL DEFAULT '',
        parent TEXT NOT NULL DEFAULT '',
        prompt TEXT NOT NULL DEFAULT '',
        options TEXT NOT NULL DEFAULT '{}',
        pictures TEXT NOT NULL DEFAULT '[]',
        placement TEXT NOT NULL DEFAULT '',
        price REAL NOT NULL DEFAULT 0,
        credits REAL,
        claim TEXT NOT NULL DEFAULT '',
        claimed_until REAL NOT NULL DEFAULT 0
    ) STRICT
    ;
INSERT INTO "task" VALUES('11111111','Lantern','key-1','123e4567-e89b-12d3-a456-426614174001','WAITING','[["a", "Waiting", 2], ["b", "Generating", null]]','FOLLOWING','{"code": "throttled", "actions": ["check_now"], "text": "The service says {word}.", "values": {"word": "no"}}',1000.0,0.0,1010.0,1020.0,10.0,0,10.0,'','[]','',0.0,'','','','{}','[]','',0.0,NULL,'',0.0);
INSERT INTO "task" VALUES('22222222','Vase','key-2','123e4567-e89b-12d3-a456-426614174002','DONE','[["c", "Done", null]]','FOLLOWING','',2000.0,2060.0,0.0,0.0,0.0,0,0.0,'/downloads/Vase 22222222','[["base_basic_pbr.glb", 1200, ""]]','SAVED',60.0,'generate','','A glazed vase','{"tier": "Gen-2"}','[]','',0.5,0.5,'',0.0);
INSERT INTO "task" VALUES('33333333','Chair',NULL,'','UNCERTAIN','[]','FOLLOWING','',3000.0,0.0,0.0,0.0,0.0,0,0.0,'','[]','',0.0,'generate','','A chair','{"tier": "Gen-2.5-Medium", "seed": 7}','["1.png"]','[1.0, 2.0, 3.0, "Scene", "/show/a.blend"]',0.5,NULL,'',0.0);
CREATE INDEX followed ON task (next_check_at) WHERE subscription_key IS NOT NULL AND watch = 'FOLLOWING' AND status NOT IN ('DONE', 'PARTLY_FAILED', 'FAILED');
COMMIT;
PRAGMA user_version = 7;
