// Package arrival brings in what another biller sold, from the files that it
// gives out: what was sold from one file, the cards from another that is sealed.
//
// An import has three steps. The records, which lie scattered over the files, are
// read once into a scratch database beside the books, so that memory does not
// grow with their number. Then the records of one subscription after another are
// made into what the cashier is asked to plant. What cannot be planted is
// reported by the line of its file; nothing that is reported holds card data.
//
// Everything is planted under the number that it had, and a number is planted
// once. So an import that was stopped is simply begun again, and one that is run
// twice does nothing the second time.
package arrival
