-- Which books these are, who works on them, and how far they were compared with
-- the processors. installation, node and compatible are of the installation as
-- a whole, like merchant and directory, and stay small.

-- +goose Up

-- The one row, made when the books are first worked on. epoch rises when a
-- person adopts restored books; mark rises while nodes work. Each node keeps
-- both in a file of its own, so that books which have gone back are known as
-- such. place and line are where the database was when it was last proved right.
CREATE TABLE installation (
    id       {{int}} PRIMARY KEY CHECK (id = 1),
    name     TEXT NOT NULL,
    epoch    {{int}} NOT NULL,
    mark     {{int}} NOT NULL,
    place    TEXT NOT NULL,
    line     TEXT NOT NULL,
    reason   TEXT NOT NULL,
    begun_at {{int}} NOT NULL
) {{strict}};

-- The processes at work, by the number that tells their ids apart. A number is
-- free again when its lease has run out by the database's clock.
CREATE TABLE node (
    number  {{int}} PRIMARY KEY,
    token   TEXT NOT NULL,
    name    TEXT NOT NULL,
    vouched {{bool}} NOT NULL,
    until   {{int}} NOT NULL
) {{strict}};

-- The oldest migration whose program still runs on this schema. A migration
-- that takes something away raises it.
CREATE TABLE compatible (
    id     {{int}} PRIMARY KEY CHECK (id = 1),
    oldest {{int}} NOT NULL
) {{strict}};
INSERT INTO compatible (id, oldest) VALUES (1, 1);

-- Up to which instant of the merchant's clock all that the processor lists is
-- known to be in the books. A restored copy has an old one, so the comparison
-- begins where the copy was made.
CREATE TABLE comparison (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    processor   TEXT NOT NULL,
    upto        {{int}} NOT NULL,
    compared_at {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, processor)
) {{strict}};

-- +goose Down
DROP TABLE comparison;
DROP TABLE compatible;
DROP TABLE node;
DROP TABLE installation;
