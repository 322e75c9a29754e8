-- Velocity controls: how often, and for how much, a consumer is charged. A
-- consumer is the keyed fingerprint of a card or bank account. Merchants without
-- controls have no rows here.

-- +goose Up

-- The row that charges of one consumer take turns on, and how far it is trusted.
CREATE TABLE velocity_consumer (
    merchant_id   {{int}} NOT NULL REFERENCES merchant (id),
    fingerprint   {{bytes}} NOT NULL,
    first_at      {{int}},
    last_at       {{int}},
    trusted_at    {{int}},
    trust_percent {{int}} NOT NULL DEFAULT 0,
    trust_until   {{int}},
    trust_reason  TEXT NOT NULL DEFAULT '',
    trust_by      TEXT NOT NULL DEFAULT '',
    customer_id   {{int}},
    masked        TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (merchant_id, fingerprint)
) {{strict}};
CREATE INDEX velocity_trusted ON velocity_consumer (merchant_id, trusted_at) WHERE trusted_at IS NOT NULL;

-- What counts. Whether a charge was approved is told by its attempt.
CREATE TABLE velocity_charge (
    merchant_id {{int}} NOT NULL,
    fingerprint {{bytes}} NOT NULL,
    at          {{int}} NOT NULL,
    attempt_id  {{int}} NOT NULL,
    renewal     {{bool}} NOT NULL,
    PRIMARY KEY (merchant_id, fingerprint, at, attempt_id),
    FOREIGN KEY (merchant_id, attempt_id) REFERENCES attempt (merchant_id, id)
) {{strict}};

-- What was refused, and why. Nothing else is left of such a charge.
CREATE TABLE velocity_refusal (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    id          {{int}} NOT NULL,
    at          {{int}} NOT NULL,
    account_id  {{int}} NOT NULL,
    customer_id {{int}} NOT NULL,
    rule        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    detail      TEXT NOT NULL,
    amount      {{int}} NOT NULL,
    currency    TEXT NOT NULL,
    masked      TEXT NOT NULL,
    login       TEXT NOT NULL,
    PRIMARY KEY (merchant_id, id)
) {{strict}};

-- +goose Down
DROP TABLE velocity_refusal;
DROP TABLE velocity_charge;
DROP TABLE velocity_consumer;
