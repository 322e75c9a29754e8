-- What stands on an invoice beside its amount, what waits for the next one, coupons,
-- prices that are made of several things, and what else is known of customers,
-- plans and cards. A merchant whose invoices are an amount alone has no rows in the
-- new tables, and '' in the new columns.

-- +goose Up

-- What the price is made of, and what it will be from the next billing on, as JSON.
ALTER TABLE subscription ADD COLUMN composition TEXT NOT NULL DEFAULT '';
ALTER TABLE subscription ADD COLUMN pending_change TEXT NOT NULL DEFAULT '';
-- What else a plan offers: setup fee, trial, add-ons, texts; as JSON.
ALTER TABLE plan ADD COLUMN offer TEXT NOT NULL DEFAULT '';
-- Where a customer stands, '' being what the column active says; and the rest of
-- what is known of it, as JSON.
ALTER TABLE customer ADD COLUMN standing TEXT NOT NULL DEFAULT '';
ALTER TABLE customer ADD COLUMN profile TEXT NOT NULL DEFAULT '';
-- What else was said of a card or bank account, as JSON.
ALTER TABLE payment_method ADD COLUMN details TEXT NOT NULL DEFAULT '';
-- When the payment method is forgotten unless something happens with it, by the
-- merchant's clock.
ALTER TABLE payment_method ADD COLUMN forget_at {{int}};
CREATE INDEX payment_method_forget ON payment_method (merchant_id, forget_at) WHERE forget_at IS NOT NULL;

-- What an invoice says beside its amount. number is NULL until the invoice is
-- numbered, which is done in the order of the ids of those that are there.
CREATE TABLE bill (
    merchant_id {{int}} NOT NULL,
    activity_id {{int}} NOT NULL,
    customer_id {{int}} NOT NULL,
    number      {{int}},
    created_at  {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, activity_id),
    UNIQUE (merchant_id, number),
    FOREIGN KEY (merchant_id, activity_id) REFERENCES activity (merchant_id, id)
) {{strict}};
CREATE INDEX bill_customer ON bill (merchant_id, customer_id, activity_id);
CREATE INDEX bill_unnumbered ON bill (merchant_id, activity_id) WHERE number IS NULL;

-- One line of an invoice or credit; activity_id is NULL while it waits for one. A
-- line that waits is not in the books yet. amount is signed: negative lowers what
-- is owed. subscription_id is whose next invoice it waits for, NULL for any of the
-- customer's.
CREATE TABLE line (
    merchant_id     {{int}} NOT NULL,
    id              {{int}} NOT NULL,
    customer_id     {{int}} NOT NULL,
    subscription_id {{int}},
    activity_id     {{int}},
    kind            TEXT NOT NULL,
    code            TEXT NOT NULL,
    description     TEXT NOT NULL,
    quantity        {{int}} NOT NULL,
    unit_amount     {{int}} NOT NULL,
    amount          {{int}} NOT NULL,
    currency        TEXT NOT NULL,
    from_at         {{int}},
    to_at           {{int}},
    created_at      {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customer (merchant_id, id),
    FOREIGN KEY (merchant_id, activity_id) REFERENCES activity (merchant_id, id)
) {{strict}};
CREATE INDEX line_customer ON line (merchant_id, customer_id, id);
CREATE INDEX line_waiting ON line (merchant_id, customer_id) WHERE activity_id IS NULL;
CREATE INDEX line_activity ON line (merchant_id, activity_id) WHERE activity_id IS NOT NULL;

CREATE TABLE coupon (
    merchant_id     {{int}} NOT NULL REFERENCES merchant (id),
    id              {{int}} NOT NULL,
    code            TEXT NOT NULL,
    name            TEXT NOT NULL,
    percent         {{int}} NOT NULL,
    amount          {{int}} NOT NULL,
    currency        TEXT NOT NULL,
    lasts           TEXT NOT NULL,
    months          {{int}} NOT NULL,
    redeem_by       TEXT NOT NULL,
    max_redemptions {{int}} NOT NULL,
    plans           TEXT NOT NULL,
    active          {{bool}} NOT NULL,
    created_at      {{int}} NOT NULL,
    updated_at      {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, code)
) {{strict}};

-- A coupon in a customer's hands. seq counts a coupon's redemptions, so that no two
-- at once can both be the last that is allowed.
CREATE TABLE redemption (
    merchant_id {{int}} NOT NULL,
    id          {{int}} NOT NULL,
    coupon_id   {{int}} NOT NULL,
    seq         {{int}} NOT NULL,
    customer_id {{int}} NOT NULL,
    redeemed_at {{int}} NOT NULL,
    ends_on     TEXT NOT NULL,
    used        {{int}} NOT NULL,
    discounted  {{int}} NOT NULL,
    currency    TEXT NOT NULL,
    ended_at    {{int}},
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, coupon_id, seq),
    FOREIGN KEY (merchant_id, coupon_id) REFERENCES coupon (merchant_id, id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customer (merchant_id, id)
) {{strict}};
CREATE UNIQUE INDEX redemption_held ON redemption (merchant_id, customer_id) WHERE ended_at IS NULL;

-- What people wrote down about a customer.
CREATE TABLE note (
    merchant_id {{int}} NOT NULL,
    id          {{int}} NOT NULL,
    customer_id {{int}} NOT NULL,
    text        TEXT NOT NULL,
    creator     TEXT NOT NULL,
    created_at  {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customer (merchant_id, id)
) {{strict}};
CREATE INDEX note_customer ON note (merchant_id, customer_id, id);

-- What a browser's form that was posted straight here came to, until somebody asks.
-- proof is the merchant's signature under it: one that came to something is not
-- carried out twice.
CREATE TABLE posted_form (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    key         TEXT NOT NULL,
    kind        TEXT NOT NULL,
    proof       TEXT NOT NULL,
    status      {{int}} NOT NULL,
    content     TEXT NOT NULL,
    created_at  {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, key)
) {{strict}};

CREATE INDEX posted_form_age ON posted_form (merchant_id, created_at);
CREATE INDEX posted_form_proof ON posted_form (merchant_id, proof);

-- What a merchant and its clients prove messages to each other with, sealed; by
-- the name of what it is for.
CREATE TABLE merchant_secret (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    name        TEXT NOT NULL,
    sealed      {{bytes}} NOT NULL,
    updated_at  {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, name)
) {{strict}};

-- The last number of each series in which a merchant's objects are counted, and the
-- way from a number to what it counts.
CREATE TABLE counter (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    name        TEXT NOT NULL,
    last        {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, name)
) {{strict}};
CREATE INDEX reference_counted ON reference (merchant_id, noun, object_id)
    WHERE noun IN ('client_number', 'schedule_number', 'bill_number');

-- When people were erased whose bytes are perhaps still in the file.
CREATE TABLE scrub (
    id        {{int}} PRIMARY KEY CHECK (id = 1),
    wanted_at {{int}} NOT NULL
) {{strict}};

-- Looks at a card that took no money: few, beside the charges of a merchant.
CREATE INDEX attempt_verification ON attempt (merchant_id, customer_id, id) WHERE kind = 'authorize';

-- +goose Down
DROP INDEX attempt_verification;
DROP TABLE scrub;
DROP INDEX reference_counted;
DROP TABLE counter;
DROP TABLE merchant_secret;
DROP TABLE posted_form;
DROP TABLE note;
DROP TABLE redemption;
DROP TABLE coupon;
DROP TABLE line;
DROP TABLE bill;
DROP INDEX payment_method_forget;
ALTER TABLE payment_method DROP COLUMN forget_at;
ALTER TABLE payment_method DROP COLUMN details;
ALTER TABLE customer DROP COLUMN profile;
ALTER TABLE customer DROP COLUMN standing;
ALTER TABLE plan DROP COLUMN offer;
ALTER TABLE subscription DROP COLUMN pending_change;
ALTER TABLE subscription DROP COLUMN composition;
