-- Subscriptions that are sold on terms of their own: a price for the first
-- billing, days that were moved, access that ends with a day. And numbers by
-- which another system's clients know an object, looked up both ways.

-- +goose Up

ALTER TABLE subscription ADD COLUMN initial_amount {{int}};
ALTER TABLE subscription ADD COLUMN anchors TEXT NOT NULL DEFAULT '';
ALTER TABLE subscription ADD COLUMN access TEXT NOT NULL DEFAULT '';
ALTER TABLE subscription ADD COLUMN signed_up_at {{int}};

CREATE INDEX reference_number ON reference (merchant_id, noun, object_id)
    WHERE noun IN ('subscription_number', 'payment_method_number', 'attempt_number');

CREATE INDEX attempt_parent ON attempt (merchant_id, parent_id) WHERE parent_id IS NOT NULL;

-- Addresses from which a merchant's logins were failed: the last two failures,
-- and until when the address is locked out. Instants are the world's.
CREATE TABLE login_failure (
    merchant_id  {{int}} NOT NULL REFERENCES merchant (id),
    address      TEXT NOT NULL,
    before_at    {{int}},
    last_at      {{int}} NOT NULL,
    locked_until {{int}},
    PRIMARY KEY (merchant_id, address)
) {{strict}};

-- +goose Down
DROP TABLE login_failure;
DROP INDEX attempt_parent;
DROP INDEX reference_number;
ALTER TABLE subscription DROP COLUMN signed_up_at;
ALTER TABLE subscription DROP COLUMN access;
ALTER TABLE subscription DROP COLUMN anchors;
ALTER TABLE subscription DROP COLUMN initial_amount;
