-- +goose Up

-- One row for each line of the journal. The request's own line has step ''
-- and carries what may still become of it; the lines that the bank adds later
-- repeat the reference and have their kind as step, so that each can be
-- written but once.
CREATE TABLE journal (
	merchant   {{text}} NOT NULL,
	reference  {{text}} NOT NULL,
	step       {{text}} NOT NULL,
	seq        {{int}} NOT NULL,
	at         {{int}} NOT NULL,           -- the merchant's time, microseconds
	kind       {{text}} NOT NULL,
	original   {{text}} NOT NULL,
	declined   {{bool}} NOT NULL,
	response   {{text}} NOT NULL,
	message    {{text}} NOT NULL,
	asked      {{int}} NOT NULL,           -- minor units
	amount     {{int}} NOT NULL,           -- minor units, less than asked if approved in part
	currency   {{text}} NOT NULL,
	instrument {{text}} NOT NULL,
	masked     {{text}} NOT NULL,
	card       {{text}} NOT NULL,          -- name of a card whose past or refunds matter
	pending    {{bool}} NOT NULL,          -- a claim that has neither settled nor come back
	returned   {{text}} NOT NULL,          -- code with which a pending claim came back
	voided     {{bool}} NOT NULL,
	given_back {{int}} NOT NULL,           -- refunded, charged back or returned late, minor units
	settles_at {{int}},                    -- of a claim
	due_at     {{int}},                    -- when the first of due happens
	due        {{text}} NOT NULL,          -- what is still to happen, in order, commas between
	PRIMARY KEY (merchant, reference, step)
) {{strict}};

CREATE UNIQUE INDEX journal_seq ON journal (merchant, seq);
CREATE INDEX journal_due ON journal (merchant, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX journal_card ON journal (merchant, card) WHERE card <> '';

CREATE TABLE notice (
	merchant  {{text}} NOT NULL,
	seq       {{int}} NOT NULL,
	at        {{int}} NOT NULL,
	kind      {{text}} NOT NULL,
	reference {{text}} NOT NULL,
	response  {{text}} NOT NULL,
	amount    {{int}} NOT NULL,
	currency  {{text}} NOT NULL,
	PRIMARY KEY (merchant, seq)
) {{strict}};

-- How the bank treats a merchant; '*' stands for all.
CREATE TABLE treatment (
	merchant {{text}} NOT NULL PRIMARY KEY,
	terms    {{text}} NOT NULL, -- JSON, '' for the defaults
	faults   {{text}} NOT NULL, -- JSON, '' for none
	notices  {{int}} NOT NULL   -- number of the last notice
) {{strict}};

-- How often the faults that fire a number of times have fired.
CREATE TABLE fault_use (
	merchant {{text}} NOT NULL,
	fault    {{int}} NOT NULL, -- index in treatment.faults
	used     {{int}} NOT NULL,
	PRIMARY KEY (merchant, fault)
) {{strict}};

-- The last number given to a line. Processes reserve numbers in blocks.
CREATE TABLE numbering (
	name {{text}} NOT NULL PRIMARY KEY,
	last {{int}} NOT NULL
) {{strict}};

-- +goose Down
DROP TABLE numbering;
DROP TABLE fault_use;
DROP TABLE treatment;
DROP TABLE notice;
DROP TABLE journal;
