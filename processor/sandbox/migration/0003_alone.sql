-- +goose Up

-- An authorisation that no capture was to follow. A charge that was declined is an
-- authorisation too, and was asked for as a charge.
ALTER TABLE journal ADD COLUMN alone {{bool}} NOT NULL DEFAULT FALSE;

-- +goose Down
ALTER TABLE journal DROP COLUMN alone;
