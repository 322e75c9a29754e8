-- Telling merchants what happened: where they want to be told, what is on its
-- way there, and every try. Instants here are the world's.

-- +goose Up

-- Marked when it is written, if the merchant has an endpoint then, and unmarked
-- by the transaction that makes its deliveries. Ids are made before the commit,
-- so a cursor over them would pass over what commits late; a mark cannot be
-- missed, and where nobody is told it costs no row in the index.
ALTER TABLE event ADD COLUMN waiting {{bool}};
CREATE INDEX event_waiting ON event (merchant_id, id) WHERE waiting;

CREATE TABLE endpoint (
    merchant_id {{int}} NOT NULL REFERENCES merchant (id),
    id          {{int}} NOT NULL,
    account_id  {{int}},
    code        TEXT NOT NULL,
    dialect     TEXT NOT NULL,
    url         TEXT NOT NULL,
    login       TEXT NOT NULL,
    settings    TEXT NOT NULL,
    sealed      {{bytes}},
    disabled    {{bool}} NOT NULL,
    created_at  {{int}} NOT NULL,
    updated_at  {{int}} NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, code),
    FOREIGN KEY (merchant_id, account_id) REFERENCES account (merchant_id, id)
) {{strict}};

-- One message to one endpoint. next_at is the queue; a held one has none, it
-- waits for the one before it in its lane. round_from is how many tries there
-- were when the present round of them began.
CREATE TABLE delivery (
    merchant_id  {{int}} NOT NULL,
    id           {{int}} NOT NULL,
    endpoint_id  {{int}} NOT NULL,
    event_id     {{int}} NOT NULL,
    customer_id  {{int}},
    key          TEXT NOT NULL,
    kind         TEXT NOT NULL,
    lane         {{int}} NOT NULL,
    query        TEXT NOT NULL,
    content_type TEXT NOT NULL,
    body         {{bytes}},
    state        TEXT NOT NULL,
    tries        {{int}} NOT NULL,
    round_from   {{int}} NOT NULL,
    next_at      {{int}},
    lease_until  {{int}},
    created_at   {{int}} NOT NULL,
    ended_at     {{int}},
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, endpoint_id, key),
    FOREIGN KEY (merchant_id, endpoint_id) REFERENCES endpoint (merchant_id, id)
) {{strict}};
CREATE INDEX delivery_due ON delivery (merchant_id, endpoint_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX delivery_open ON delivery (merchant_id, endpoint_id, lane, id) WHERE ended_at IS NULL;
CREATE INDEX delivery_ended ON delivery (merchant_id, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX delivery_customer ON delivery (merchant_id, customer_id) WHERE customer_id IS NOT NULL;

-- What the sender saw, for ever as long as the delivery is kept.
CREATE TABLE delivery_try (
    merchant_id {{int}} NOT NULL,
    delivery_id {{int}} NOT NULL,
    number      {{int}} NOT NULL,
    begun_at    {{int}} NOT NULL,
    took_ms     {{int}} NOT NULL,
    status      {{int}} NOT NULL,
    answer      TEXT NOT NULL,
    fault       TEXT NOT NULL,
    PRIMARY KEY (merchant_id, delivery_id, number),
    FOREIGN KEY (merchant_id, delivery_id) REFERENCES delivery (merchant_id, id)
) {{strict}};

-- +goose Down
DROP TABLE delivery_try;
DROP TABLE delivery;
DROP TABLE endpoint;
DROP INDEX event_waiting;
ALTER TABLE event DROP COLUMN waiting;
