-- What was refunded, voided, charged back or returned before a subscription came
-- here from another system, as JSON; '' is nothing.

-- +goose Up

ALTER TABLE subscription ADD COLUMN taken_back TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE subscription DROP COLUMN taken_back;
