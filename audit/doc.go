// Package audit proves the books. It reads all that one merchant's books say,
// holds each statement against the others by the rules of package billing, and
// lists what does not fit. It repairs nothing.
//
// The books say everything more than once, and that is what makes them provable.
// What a customer owes is the sum of the entries on receivable, the signed sum of
// the activities, and the signed sum of what is open; an activity is what is open
// of it and what allocations cover; its entries are those that its kind and state
// call for, to the cent and to the ledger; a reversal cancels what it reverses;
// an attempt has the activity that its outcome calls for; a subscription has an
// invoice for each billing date that has passed; an invoice with lines is their sum
// and the tax on it. Compare adds the one witness
// that is not ours: the journal of the bank.
//
// A Fault is something that cannot be right, whatever was going on at the time: a
// charge without entries, a debt that a finished attempt still holds, a capture
// that the bank knows and the books do not. A fault marked as a note is what is
// right but unfinished: an attempt that is being sent, news that the bank has and
// nobody has asked for yet. Whoever judges the books by this package minds the
// faults and shows the notes.
//
// The books are read from one snapshot, in pages, so that their size costs time
// but no memory. Faults hold ids and amounts, never who or with which card.
package audit
