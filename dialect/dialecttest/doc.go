// Package dialecttest is what the tests of all dialects share: a shop with a
// listener in front, and the two halves of the proof that a dialect is right.
//
// The wire. Exchanges plays text archives of requests against a Counter and
// compares every answer, and in the end the books, with what the archive says.
// An archive is the proof that a published sample still gets its published
// answer.
//
// The meaning. Five tongues must have one meaning. Tell tells the same stories
// ("sign up, pay, renew, decline, retry, recover, refund, cancel") in a dialect,
// through the Speaker that the dialect's tests bring, and compares the books
// that each story leaves with golden books that are the same for all dialects.
// What a tongue cannot say stands in its Speaker with the reason, and the test
// fails when it becomes sayable.
//
// With the environment variable PERENNIAL_UPDATE_GOLDEN=1 both halves write what
// they see in place of what they expect. Read the difference before you keep it.
package dialecttest
