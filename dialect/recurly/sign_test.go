package recurly

import (
	"strconv"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// testPrivateKey is the one of the published vectors (13.5).
var testPrivateKey = billing.NewSecret("0123456789abcdef0123456789abcdef")

func TestSignatureVectors(t *testing.T) {
	for message, want := range map[string]string{
		"d00d": "5354ea5403041f2494bbe2e7672e9974485d32fc",
		"account%5Baccount_code%5D=howdy&redirect_url=http%3A%2F%2Fexample.com%2F&time=2011-09-01T12%3A00%3A00Z&value=hello": "41c507b9f82f1b17b1d1a7ab14dca88b3657e24d",
		"result=0123456789abcdef0123456789abcdef&status=200&type=subscription":                                               "aed314e5eeca03c410dd5b52321b2b24389ebd0f",
		"result=0123456789abcdef0123456789abcdef&status=422&type=billing_info":                                               "b7d0b21c8d75c9c8117325db3942ad01baa92321",
	} {
		if got := sign(testPrivateKey, message); got != want {
			t.Errorf("%s: %s, want %s", message, got, want)
		}
		if !signed(testPrivateKey, message, want) || signed(testPrivateKey, message+" ", want) || signed(billing.Secret{}, message, sign(billing.Secret{}, message)) {
			t.Errorf("%s: the signature is not held against the message", message)
		}
	}
}

func TestClaimVectors(t *testing.T) {
	addOn := func(code string, quantity int) Claim { return Claim{"add_on_code": code, "quantity": quantity} }
	for _, v := range []struct {
		at     int64
		what   string
		values Claim
		want   string
	}{
		{1312806801, "update", Claim{"a": "foo", "b": "bar"}, "fb5194a51aa97996cdb995a89064764c5c1bfd93"},
		{1313727561, ClaimBillingInfoUpdate, Claim{"account_code": "123"}, "824c2ac45c66236c76bd746998a0e050836c1c3e"},
		{1313727561, ClaimTransactionCreate, Claim{"account_code": "123", "amount_in_cents": 5000, "currency": "USD", "empty": "", "nil": nil, "none": []any{}},
			"ccedb6a88e15cbec07187d6d21ff0041bc1fbc94"},
		{1313727371, ClaimSubscriptionCreated, Claim{"account_code": "123", "plan_code": "gold", "quantity": int64(1),
			"add_ons": []any{addOn("extra", 5), addOn("bonus", 2)}}, "c83ff174674b67482928e43eebf41005c5cc7ac4"},
		{1313727561, ClaimBillingInfoUpdated, Claim{"account_code": "a:b,c"}, "3cea8f22295d59dc0c01cb6f3c1bc603d1d613cb"},
	} {
		at := time.Unix(v.at, 0)
		signature := SignClaim(testPrivateKey, v.what, v.values, at)
		if want := v.want + "-" + strconv.FormatInt(v.at, 10); signature != want {
			t.Errorf("%s: %s, want %s", v.what, signature, want)
		}
		for after, want := range map[time.Duration]bool{0: true, claimLife: true, claimLife + time.Second: false, -claimLife: true, -claimLife - time.Second: false} {
			if got := CheckClaim(testPrivateKey, v.what, v.values, signature, at.Add(after)); got != want {
				t.Errorf("%s after %s: %v", v.what, after, got)
			}
		}
		if CheckClaim(testPrivateKey, v.what, Claim{"account_code": "124"}, signature, at) {
			t.Errorf("%s of another account is taken", v.what)
		}
		for _, bad := range []string{"", "-", v.want, v.want + "-", v.want + "-x", v.want + "-99999999999999999999"} {
			if CheckClaim(testPrivateKey, v.what, v.values, bad, at) {
				t.Errorf("%s: %q is taken for a signature", v.what, bad)
			}
		}
	}
	if _, ok := protected(struct{}{}); ok {
		t.Error("a value without a form has one")
	}
}
