-- +goose Up

-- Whose money it is, in the merchant's own words; '' where nobody said.
ALTER TABLE journal ADD COLUMN customer {{text}} NOT NULL DEFAULT '';

-- What was asked for, in the order of the merchant's time.
CREATE INDEX journal_asked ON journal (merchant, at, seq) WHERE step = '';

-- +goose Down
DROP INDEX journal_asked;
ALTER TABLE journal DROP COLUMN customer;
