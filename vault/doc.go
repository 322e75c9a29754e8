// Package vault seals card and bank numbers, so that a stolen copy of the
// database that keeps them gives none away.
//
// It turns bytes and associated data into bytes and back. It stores nothing,
// reads no clock, opens no connection and knows nothing of the program around
// it. One person can read it in an hour, and FORMAT.md beside this file says
// enough to open every sealed value without it; the tests do just that.
//
// # Two layers of keys
//
// A master key stays out of the database: in a file that only the program can
// read, or in an environment variable. Each owner (a merchant, or the
// installation itself for what belongs to no merchant) has keys of its own,
// made once by [Vault.NewKeys], wrapped by the master key and kept by the
// caller in its database. The database alone therefore opens nothing, and a
// wrapped key of one owner is refused for another.
//
//	text, err := vault.ReadMasterKey("/etc/perennial/master.key")
//	v, err := vault.New(text)
//
//	wrapped, err := v.NewKeys("merchant/42")     // once; keep wrapped
//	keys, err := v.Keys("merchant/42", wrapped)  // as often as you like, it is cached
//
//	sealed, err := keys.Seal([]byte(number), "payment-method/7")
//	plain, err := keys.Open(sealed, "payment-method/7")
//
// The second argument of Seal is associated data: it is not stored, but the
// value opens only with the same words. Name the row and column that the value
// belongs to, and nobody with write access to the database can move one
// customer's card to another.
//
// # Recognising without revealing
//
// [Keys.Fingerprint] is a keyed hash: the same number gives the same 32 bytes
// for one owner and others for the next, and without the key nobody can try
// all card numbers until one fits (PCI DSS 4.0.1, 3.5.1.1, asks for the key;
// there are so few card numbers that a plain hash of one is the number).
// [Keys.Digest] does the same for whole requests (idempotency) and for secrets
// that are looked up (API keys), each under a purpose of its own.
//
// # Changing keys
//
// Every sealed value carries the id of its key. [Vault.Rotate] gives an owner
// a new key that seals from then on, and keeps the old ones, so that nothing
// has to be sealed again at once. Fingerprints and digests do not change with
// it. For a new master key, put it on the first line of the text given to
// [New] and leave the old one below it: everything still opens, and
// [Vault.Rewrap] moves one owner after the other to the new key while the
// program runs. When none is left, take the old line out.
//
// Unwrap the installation's own keys when the program starts: a wrong or
// missing master key is then found at once, with [ErrUnknownKey], and not by
// the first customer. They are also the place for what no merchant owns and
// for hashes that must be found before the merchant is known (an API key's
// Digest), because unlike anything made from the master key itself they stay
// the same when it changes.
//
// # What this package cannot do
//
// Whoever holds the database and the master key together has the numbers; keep
// them and their backups apart. A running program has keys in its memory, and
// Go gives no promise to wipe them. And a value that was sealed with the same
// associated data before can be put back by whoever can write to the database:
// associated data says where a value belongs, not which version it is.
package vault
