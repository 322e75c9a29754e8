-- Work that cannot be done because its data are damaged, what people did to the
-- books by hand, and what is known of attempts that people had to settle.

-- +goose Up

-- A row here keeps its object out of its queue until somebody has mended it: a
-- subscription has no next_at, a debt no collect_at or age_at, an attempt no
-- lease_until and no check_at. due_at is what stood there.
CREATE TABLE parked (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    noun        TEXT NOT NULL,
    object_id   {{int}} NOT NULL,
    customer_id {{int}},
    reason      TEXT NOT NULL,
    due_at      {{int}} NOT NULL,
    since       {{int}} NOT NULL,
    tries       {{int}} NOT NULL,
    released_at {{int}},
    PRIMARY KEY (merchant_id, noun, object_id)
) {{strict}};
CREATE INDEX parked_held ON parked (merchant_id, since) WHERE released_at IS NULL;

-- What people did by hand, for ever. Instants are the world's.
CREATE TABLE operator_act (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    id          {{int}} NOT NULL,
    act         TEXT NOT NULL,
    noun        TEXT NOT NULL,
    object_id   {{int}} NOT NULL,
    who         TEXT NOT NULL,
    reason      TEXT NOT NULL,
    done_at     {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id)
) {{strict}};
CREATE INDEX operator_act_object ON operator_act (merchant_id, noun, object_id, id);

-- unsettled_at is since when an attempt waits for a person; settled_by is who
-- settled it, and contradiction what the processor said against that later.
ALTER TABLE attempt ADD COLUMN unsettled_at {{int}};
ALTER TABLE attempt ADD COLUMN settled_by TEXT NOT NULL DEFAULT '';
ALTER TABLE attempt ADD COLUMN contradiction TEXT NOT NULL DEFAULT '';
CREATE INDEX attempt_unsettled ON attempt (merchant_id, unsettled_at) WHERE unsettled_at IS NOT NULL;

-- +goose Down
DROP INDEX attempt_unsettled;
ALTER TABLE attempt DROP COLUMN contradiction;
ALTER TABLE attempt DROP COLUMN settled_by;
ALTER TABLE attempt DROP COLUMN unsettled_at;
DROP TABLE operator_act;
DROP TABLE parked;
