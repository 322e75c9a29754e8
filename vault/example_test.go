package vault_test

import (
	"fmt"
	"log"

	"github.com/perennial-billing/perennial/vault"
)

func Example() {
	master, err := vault.NewMasterKey() // or ReadMasterKey, from a file
	if err != nil {
		log.Fatal(err)
	}
	v, err := vault.New(master)
	if err != nil {
		log.Fatal(err)
	}

	wrapped, err := v.NewKeys("merchant/42") // once per merchant, into the database
	if err != nil {
		log.Fatal(err)
	}
	keys, err := v.Keys("merchant/42", wrapped)
	if err != nil {
		log.Fatal(err)
	}

	sealed, err := keys.Seal([]byte("4111111111111111"), "payment-method/7")
	if err != nil {
		log.Fatal(err)
	}
	number, err := keys.Open(sealed, "payment-method/7")
	fmt.Printf("%s %v\n", number, err)

	_, err = keys.Open(sealed, "payment-method/8")
	fmt.Println(err)
	// Output:
	// 4111111111111111 <nil>
	// vault: open: altered, cut off, or sealed for something else
}
