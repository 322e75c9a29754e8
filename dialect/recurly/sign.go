package recurly

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// sign is the signature of a message: HMAC-SHA1 in lower-case hexadecimal digits.
// Its key is the SHA-1 of the private key (13.1). SHA-1 is what the clients have.
func sign(private billing.Secret, message string) string {
	key := sha1.Sum([]byte(private.Reveal()))
	mac := hmac.New(sha1.New, key[:])
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}

// signed reports whether a signature is that of a message. Without a private key
// nothing is.
func signed(private billing.Secret, message, signature string) bool {
	want := sign(private, message)
	return subtle.ConstantTimeCompare([]byte(want), []byte(signature)) == 1 && !private.IsZero()
}

// Claim is a message of recurly.js between shop and site (13.4). Its values are
// texts, whole numbers, claims within it and lists of any of these.
type Claim map[string]any

// The claims: of the shop to the site, and of the site to the shop.
const (
	ClaimBillingInfoUpdate   = "billinginfoupdate"
	ClaimSubscriptionCreate  = "subscriptioncreate"
	ClaimTransactionCreate   = "transactioncreate"
	ClaimBillingInfoUpdated  = "billinginfoupdated"
	ClaimSubscriptionCreated = "subscriptioncreated"
	ClaimTransactionCreated  = "transactioncreated"
)

// claimLife is how long a claim is good, either way (13.4).
const claimLife = time.Hour

// SignClaim signs a claim: the signature, a dash and the time.
func SignClaim(private billing.Secret, what string, values Claim, at time.Time) string {
	text, _ := claimText(what, values, at.Unix())
	return sign(private, text) + "-" + strconv.FormatInt(at.Unix(), 10)
}

// CheckClaim reports whether a signature is that of a claim, and still good.
func CheckClaim(private billing.Secret, what string, values Claim, signature string, now time.Time) bool {
	proof, text, found := strings.Cut(signature, "-")
	at, err := strconv.ParseInt(text, 10, 64)
	if !found || err != nil || len(text) > 12 {
		return false
	}
	age := now.Sub(time.Unix(at, 0))
	message, ok := claimText(what, values, at)
	return ok && age <= claimLife && age >= -claimLife && signed(private, message, proof)
}

// claimText is what of a claim is signed: keys sorted, what is nil or empty left
// out, lists without keys.
func claimText(what string, values Claim, at int64) (string, bool) {
	text, ok := protected(values)
	return "[" + strconv.FormatInt(at, 10) + "," + what + "," + text + "]", ok
}

var claimEscapes = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `,`, `\,`, `:`, `\:`)

// protected writes one value, "" for what is left out.
func protected(value any) (string, bool) {
	var parts []string
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return claimEscapes.Replace(v), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case []any:
		for _, one := range v {
			text, ok := protected(one)
			if !ok {
				return "", false
			}
			if text != "" {
				parts = append(parts, text)
			}
		}
	case Claim:
		var keys []string
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			text, ok := protected(v[k])
			if !ok {
				return "", false
			}
			if text != "" {
				parts = append(parts, claimEscapes.Replace(k)+":"+text)
			}
		}
	default:
		return "", false
	}
	if len(parts) == 0 {
		return "", true
	}
	return "[" + strings.Join(parts, ",") + "]", true
}
