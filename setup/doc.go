// Package setup brings an installation to what a file says: its merchants with
// their accounts, logins and plans and, for test merchants and for moving here
// from another system, their customers, payment methods and subscriptions. It
// is what stands behind `perennial apply`; README.md describes the file.
//
// A file says what shall be, not what shall be done. Applying it twice changes
// nothing the second time. What the file does not name is left alone: nothing is
// ever deleted, and a key that is absent leaves its value as it is (when
// something is made, it gets the default).
//
// Everything is looked at before anything is written. Parse refuses what is
// wrong in itself; Apply then holds the whole file against the books, and only
// if nothing in it is wrong does the first write happen. A dry run is the same
// way without its last step. Each problem is reported with its line and path,
// and no text of this package ever holds a password or a card number.
//
// All writing is done by the verbs of package cashier, so that a plan from a
// file is no other plan than one from an API. Each thing is written in a
// transaction of its own: if the database fails in the middle, what has been
// written stands, and applying the file again does the rest.
package setup
