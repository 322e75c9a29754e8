package audit

// BooksByPage is Books with pages of another size.
var BooksByPage = books
