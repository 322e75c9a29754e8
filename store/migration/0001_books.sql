-- The books. Every table leads with the merchant in its primary key, its unique
-- keys and its foreign keys, so that the schema can be spread by merchant. Only
-- merchant and directory are of the installation; they are small.
--
-- Ids are made in the process. Amounts are minor units of the currency beside
-- them. Instants are microseconds since 1970 UTC; NULL is none. Civil dates are
-- text of the form 2006-01-02; '' is none.

-- +goose Up

CREATE TABLE merchant (
    id             {{int}} PRIMARY KEY,
    code           TEXT NOT NULL UNIQUE,
    name           TEXT NOT NULL,
    mode           TEXT NOT NULL CHECK (mode IN ('test', 'live')),
    zone           TEXT NOT NULL,
    currency       TEXT NOT NULL,
    clock_mode     TEXT NOT NULL CHECK (clock_mode IN ('real', 'frozen', 'running')),
    clock_at       {{int}} NOT NULL,
    clock_set      {{int}} NOT NULL,
    settings       TEXT NOT NULL,
    keys           {{bytes}} NOT NULL,
    notices_at     {{int}},
    notices_cursor {{int}} NOT NULL DEFAULT 0,
    created_at     {{int}} NOT NULL,
    CHECK (mode = 'test' OR clock_mode = 'real')
) {{strict}};

-- Names that must be unique in the installation: who is asking, before the
-- merchant is known.
CREATE TABLE directory (
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    object_id   {{int}} NOT NULL,
    PRIMARY KEY (kind, name)
) {{strict}};

CREATE TABLE account (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    id          {{int}} NOT NULL,
    code        TEXT NOT NULL,
    name        TEXT NOT NULL,
    created_at  {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, code)
) {{strict}};

CREATE TABLE login (
    merchant_id   {{int}} NOT NULL REFERENCES merchant (id),
    id            {{int}} NOT NULL,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL,
    accounts      TEXT NOT NULL,
    allow_raw     {{bool}} NOT NULL,
    allowed_ips   TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    disabled      {{bool}} NOT NULL,
    failures      {{int}} NOT NULL,
    locked_until  {{int}},
    created_at    {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id)
) {{strict}};

-- Codes that clients chose, unique for each noun within a scope (0 the
-- merchant, else an account or a customer). A code is reserved here before the
-- act that it names.
CREATE TABLE reference (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    noun        TEXT NOT NULL,
    scope       {{int}} NOT NULL,
    code        TEXT NOT NULL,
    object_id   {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, noun, scope, code)
) {{strict}};

CREATE TABLE customer (
    merchant_id  {{int}} NOT NULL,
    id           {{int}} NOT NULL,
    account_id   {{int}} NOT NULL,
    code         TEXT NOT NULL,
    first_name   TEXT NOT NULL,
    last_name    TEXT NOT NULL,
    organization TEXT NOT NULL,
    email        TEXT NOT NULL,
    phone        TEXT NOT NULL,
    active       {{bool}} NOT NULL,
    street1      TEXT NOT NULL,
    street2      TEXT NOT NULL,
    city         TEXT NOT NULL,
    state        TEXT NOT NULL,
    postal_code  TEXT NOT NULL,
    country      TEXT NOT NULL,
    created_at   {{int}} NOT NULL,
    updated_at   {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, account_id) REFERENCES account (merchant_id, id)
) {{strict}};

CREATE TABLE payment_method (
    merchant_id {{int}} NOT NULL,
    id          {{int}} NOT NULL,
    account_id  {{int}} NOT NULL,
    customer_id {{int}} NOT NULL,
    code        TEXT NOT NULL,
    instrument  TEXT NOT NULL,
    token       TEXT NOT NULL,
    masked      TEXT NOT NULL,
    sealed      {{bytes}} NOT NULL,
    fingerprint {{bytes}} NOT NULL,
    expiry      TEXT NOT NULL,
    routing     TEXT NOT NULL,
    holder      TEXT NOT NULL,
    street1     TEXT NOT NULL,
    street2     TEXT NOT NULL,
    city        TEXT NOT NULL,
    state       TEXT NOT NULL,
    postal_code TEXT NOT NULL,
    country     TEXT NOT NULL,
    phone       TEXT NOT NULL,
    email       TEXT NOT NULL,
    active      {{bool}} NOT NULL,
    stale       {{bool}} NOT NULL,
    created_at  {{int}} NOT NULL,
    updated_at  {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, token),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customer (merchant_id, id)
) {{strict}};
CREATE INDEX payment_method_customer ON payment_method (merchant_id, customer_id, id);

CREATE TABLE plan (
    merchant_id {{int}} NOT NULL,
    id          {{int}} NOT NULL,
    account_id  {{int}} NOT NULL,
    code        TEXT NOT NULL,
    name        TEXT NOT NULL,
    cycle       TEXT NOT NULL,
    amount      {{int}} NOT NULL,
    tax         {{int}} NOT NULL,
    currency    TEXT NOT NULL,
    active      {{bool}} NOT NULL,
    created_at  {{int}} NOT NULL,
    updated_at  {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, account_id) REFERENCES account (merchant_id, id)
) {{strict}};

CREATE TABLE subscription (
    merchant_id       {{int}} NOT NULL,
    id                {{int}} NOT NULL,
    account_id        {{int}} NOT NULL,
    customer_id       {{int}} NOT NULL,
    code              TEXT NOT NULL,
    plan_id           {{int}} NOT NULL,
    plan_name         TEXT NOT NULL,
    payment_method_id {{int}} NOT NULL,
    term              TEXT NOT NULL,
    length            {{int}} NOT NULL,
    amount            {{int}} NOT NULL,
    tax               {{int}} NOT NULL,
    currency          TEXT NOT NULL,
    cycle             TEXT NOT NULL,
    first_date        TEXT NOT NULL,
    first_invoicing   TEXT NOT NULL,
    status            TEXT NOT NULL,
    period            {{int}} NOT NULL,
    issued            {{int}} NOT NULL,
    last_date         TEXT NOT NULL,
    next_date         TEXT NOT NULL,
    next_at           {{int}},
    adjusted          {{bool}} NOT NULL,
    note              TEXT NOT NULL,
    created_at        {{int}} NOT NULL,
    updated_at        {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customer (merchant_id, id),
    FOREIGN KEY (merchant_id, plan_id) REFERENCES plan (merchant_id, id),
    FOREIGN KEY (merchant_id, payment_method_id) REFERENCES payment_method (merchant_id, id)
) {{strict}};
CREATE INDEX subscription_customer ON subscription (merchant_id, customer_id, id);
CREATE INDEX subscription_due ON subscription (merchant_id, next_at) WHERE next_at IS NOT NULL;

CREATE TABLE adjustment (
    merchant_id     {{int}} NOT NULL,
    id              {{int}} NOT NULL,
    subscription_id {{int}} NOT NULL,
    kind            TEXT NOT NULL,
    effective_date  TEXT NOT NULL,
    end_date        TEXT NOT NULL,
    length          {{int}} NOT NULL,
    note            TEXT NOT NULL,
    state           TEXT NOT NULL,
    created_at      {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, subscription_id) REFERENCES subscription (merchant_id, id)
) {{strict}};
CREATE INDEX adjustment_subscription ON adjustment (merchant_id, subscription_id, id);

-- One asking of a processor, written down before it is sent.
CREATE TABLE attempt (
    merchant_id       {{int}} NOT NULL,
    id                {{int}} NOT NULL,
    account_id        {{int}} NOT NULL,
    customer_id       {{int}} NOT NULL,
    subscription_id   {{int}},
    payment_method_id {{int}},
    activity_id       {{int}} NOT NULL,
    parent_id         {{int}},
    kind              TEXT NOT NULL,
    claim             {{bool}} NOT NULL,
    processor         TEXT NOT NULL,
    reference         TEXT NOT NULL,
    amount            {{int}} NOT NULL,
    tax               {{int}} NOT NULL,
    currency          TEXT NOT NULL,
    instrument        TEXT NOT NULL,
    masked            TEXT NOT NULL,
    expiry            TEXT NOT NULL,
    routing           TEXT NOT NULL,
    token             TEXT NOT NULL,
    payer             TEXT NOT NULL,
    details           TEXT NOT NULL,
    state             TEXT NOT NULL,
    response          TEXT NOT NULL,
    message           TEXT NOT NULL,
    approval_code     TEXT NOT NULL,
    processor_id      TEXT NOT NULL,
    created_at        {{int}} NOT NULL,
    answered_at       {{int}},
    check_at          {{int}},
    lease_until       {{int}},
    checks            {{int}} NOT NULL,
    unseen            {{int}} NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, reference),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customer (merchant_id, id)
) {{strict}};
CREATE INDEX attempt_check ON attempt (merchant_id, check_at) WHERE check_at IS NOT NULL;
CREATE INDEX attempt_lease ON attempt (merchant_id, lease_until) WHERE lease_until IS NOT NULL;

-- The customer's account, line by line. (subscription_id, period) being unique
-- makes a second invoice for one billing date impossible; claimed_by makes a
-- second claim for one debt impossible while the first is under way.
CREATE TABLE activity (
    merchant_id     {{int}} NOT NULL,
    id              {{int}} NOT NULL,
    account_id      {{int}} NOT NULL,
    customer_id     {{int}} NOT NULL,
    code            TEXT NOT NULL,
    kind            TEXT NOT NULL,
    instrument      TEXT NOT NULL,
    amount          {{int}} NOT NULL CHECK (amount >= 0),
    tax             {{int}} NOT NULL,
    open            {{int}} NOT NULL CHECK (open >= 0 AND open <= amount),
    currency        TEXT NOT NULL,
    state           TEXT NOT NULL,
    due             TEXT NOT NULL,
    subscription_id {{int}},
    period          {{int}},
    attempt_id      {{int}},
    masked          TEXT NOT NULL,
    note            TEXT NOT NULL,
    creator         TEXT NOT NULL,
    adjusted_by     {{int}},
    adjusts         {{int}},
    invoice_list    TEXT NOT NULL,
    collect_at      {{int}},
    tries           {{int}} NOT NULL,
    declined_on     TEXT NOT NULL,
    claimed_by      {{int}},
    age_at          {{int}},
    created_at      {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customer (merchant_id, id)
) {{strict}};
CREATE INDEX activity_customer ON activity (merchant_id, customer_id, id);
CREATE UNIQUE INDEX activity_period ON activity (merchant_id, subscription_id, period) WHERE period IS NOT NULL;
CREATE INDEX activity_open ON activity (merchant_id, customer_id) WHERE open > 0;
CREATE INDEX activity_collect ON activity (merchant_id, collect_at) WHERE collect_at IS NOT NULL;
CREATE INDEX activity_age ON activity (merchant_id, age_at) WHERE age_at IS NOT NULL;

CREATE TABLE allocation (
    merchant_id {{int}} NOT NULL,
    id          {{int}} NOT NULL,
    customer_id {{int}} NOT NULL,
    source_id   {{int}} NOT NULL,
    target_id   {{int}} NOT NULL,
    source_kind TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    amount      {{int}} NOT NULL CHECK (amount > 0),
    currency    TEXT NOT NULL,
    created_at  {{int}} NOT NULL,
    ended_at    {{int}},
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, source_id) REFERENCES activity (merchant_id, id),
    FOREIGN KEY (merchant_id, target_id) REFERENCES activity (merchant_id, id)
) {{strict}};
CREATE INDEX allocation_source ON allocation (merchant_id, source_id);
CREATE INDEX allocation_target ON allocation (merchant_id, target_id);

-- Double-entry postings: positive is a debit. Never changed, never removed.
CREATE TABLE entry (
    merchant_id {{int}} NOT NULL,
    activity_id {{int}} NOT NULL,
    seq         {{int}} NOT NULL,
    ledger      TEXT NOT NULL,
    customer_id {{int}},
    amount      {{int}} NOT NULL,
    currency    TEXT NOT NULL,
    posted_at   {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, activity_id, seq),
    FOREIGN KEY (merchant_id, activity_id) REFERENCES activity (merchant_id, id)
) {{strict}};

-- The outbox.
CREATE TABLE event (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    id          {{int}} NOT NULL,
    kind        TEXT NOT NULL,
    customer_id {{int}},
    object_id   {{int}} NOT NULL,
    created_at  {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id)
) {{strict}};

-- Idempotency keys, kept for ever: "what became of key X?". The digest is keyed
-- by the vault, because a bare hash of a card number is the card number.
CREATE TABLE idempotency (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    scope       TEXT NOT NULL,
    key         TEXT NOT NULL,
    digest      {{bytes}} NOT NULL,
    object_id   {{int}} NOT NULL,
    created_at  {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, scope, key)
) {{strict}};

-- +goose Down
DROP TABLE idempotency;
DROP TABLE event;
DROP TABLE entry;
DROP TABLE allocation;
DROP TABLE activity;
DROP TABLE attempt;
DROP TABLE adjustment;
DROP TABLE subscription;
DROP TABLE plan;
DROP TABLE payment_method;
DROP TABLE customer;
DROP TABLE reference;
DROP TABLE login;
DROP TABLE account;
DROP TABLE directory;
DROP TABLE merchant;
