// Package ccbill speaks the CCBill merchant API (protocols/ccbill.md): charging
// by a previous transaction, subscription management and the Data Link extract.
// README.md has what is covered, section by section, and what was decided where
// the documents are silent.
//
// A request is a query string. It is read leniently (query.go), the Data Link
// user is proved (access.go), the arguments are checked in the order of sections
// 2.5 and 10, a verb of the cashier is called, and the answer is two lines of CSV
// or a little XML (answer.go). Everything is answered with status 200.
//
// A merchant's code is its clientAccnum, an account's code its clientSubacc, and
// the Data Link user "testuser" of 900000 is the login "900000/testuser".
package ccbill
