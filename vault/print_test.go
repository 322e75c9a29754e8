package vault_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/vault"
)

// spellings returns the first eight bytes of each secret in every form in
// which the standard library could print them: as text, quoted, hexadecimal,
// base64, and as lists of numbers.
func spellings(secrets ...[]byte) []string {
	var out []string
	for _, s := range secrets {
		s = s[:8]
		out = append(out,
			string(s),
			strings.Trim(fmt.Sprintf("%q", s), `"`),
			fmt.Sprintf("%x", s),
			fmt.Sprintf("%X", s),
			fmt.Sprintf("% x", s),
			strings.Trim(fmt.Sprintf("%d", s), "[]"),
			strings.Trim(fmt.Sprintf("%b", s), "[]"),
			strings.Trim(fmt.Sprintf("%o", s), "[]"),
			strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", s), "[]byte{"), "}"),
			base64.StdEncoding.EncodeToString(s)[:10],
			base64.URLEncoding.EncodeToString(s)[:10],
		)
	}
	return out
}

func wantNoneOf(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%s shows a secret (as %q): %q", what, s, text)
			return
		}
	}
}

// exported and hidden hold the types the way a program's own structures do.
type exported struct {
	V     *vault.Vault
	K     *vault.Keys
	ByVal vault.Keys
	M     map[string]*vault.Keys
}

type hidden struct {
	v     *vault.Vault
	k     *vault.Keys
	byVal vault.Vault
	s     []*vault.Keys
}

// TestNothingSecretIsPrinted prints a vault and keys in all ways there are,
// and searches the output for the master key, the keys and a sealed number.
func TestNothingSecretIsPrinted(t *testing.T) {
	v, text := newVault(t)
	k, wrapped := newOwner(t, v, "merchant/1")
	sealed := mustSeal(t, k, testCard, testAD)
	if _, err := k.Open(sealed, testAD); err != nil {
		t.Fatal(err)
	}
	k.Fingerprint(testCard)

	master, err := refParseMaster(text)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(text[19:])
	if err != nil {
		t.Fatal(err)
	}
	ref, verdict := refUnwrap([]refMaster{master}, "merchant/1", wrapped)
	if verdict != verdictOK {
		t.Fatal(verdict)
	}
	secrets := spellings([]byte(text[19:]), raw, master.wrapping, ref.sealing[0].key, ref.hashing, []byte(testCard))

	values := map[string]any{
		"*Vault":     v,
		"Vault":      *v,
		"*Keys":      k,
		"Keys":       *k,
		"[]*Keys":    []*vault.Keys{k},
		"[1]Keys":    [1]vault.Keys{*k},
		"map":        map[vault.Vault]*vault.Keys{*v: k},
		"exported":   exported{v, k, *k, map[string]*vault.Keys{"k": k}},
		"*exported":  &exported{v, k, *k, map[string]*vault.Keys{"k": k}},
		"hidden":     hidden{v, k, *v, []*vault.Keys{k}},
		"*hidden":    &hidden{v, k, *v, []*vault.Keys{k}},
		"nil *Vault": (*vault.Vault)(nil),
		"nil *Keys":  (*vault.Keys)(nil),
		"zero Vault": vault.Vault{},
		"zero Keys":  vault.Keys{},
		"error":      fmt.Errorf("%w: %v %v", vault.ErrNotAuthentic, v, k),
	}
	for name, x := range values {
		for _, verb := range "vsqdxXbcoOUeEfFgGtTp" {
			for _, flags := range []string{"", "+", "#", "+#", " ", "0", "-20", "20.3"} {
				format := "%" + flags + string(verb)
				wantNoneOf(t, name+" by "+format, fmt.Sprintf(format, x), secrets)
			}
		}
		for form, b := range logged(x) {
			wantNoneOf(t, name+" as "+form, b, secrets)
		}
		b, _ := json.Marshal(x)
		wantNoneOf(t, name+" as json", string(b), secrets)
		b, _ = xml.Marshal(x)
		wantNoneOf(t, name+" as xml", string(b), secrets)
	}
}

func logged(x any) map[string]string {
	var text, js bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&js, nil)} {
		log := slog.New(h).With("with", x)
		log.Info("message", "value", x, slog.Group("group", "value", x))
	}
	return map[string]string{"slog text": text.String(), "slog json": js.String()}
}

// TestWhatIsPrinted pins the good side: a log line tells which key it was.
func TestWhatIsPrinted(t *testing.T) {
	text := refMasterText(seeded("printed"))
	ref, err := refParseMaster(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.New(text)
	if err != nil {
		t.Fatal(err)
	}
	k, _ := newOwner(t, v, "merchant/1")
	id := mustSeal(t, k, testCard, testAD)[1:5]
	wantVault := fmt.Sprintf("vault.Vault(master key %08x)", ref.id)
	wantKeys := fmt.Sprintf(`vault.Keys("merchant/1", key %x)`, id)
	for _, tt := range []struct {
		x    any
		want string
	}{
		{v, wantVault},
		{*v, wantVault},
		{k, wantKeys},
		{*k, wantKeys},
	} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
			if got := fmt.Sprintf(format, tt.x); got != tt.want {
				t.Errorf("%s: %s, want %s", format, got, tt.want)
			}
		}
		if got := logged(tt.x)["slog json"]; strings.Count(got, strings.ReplaceAll(tt.want, `"`, `\"`)) != 3 {
			t.Errorf("logged as %s, want %s three times", got, tt.want)
		}
	}
}
