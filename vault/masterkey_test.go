package vault_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/vault"
)

func TestMasterKeysDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		text, err := vault.NewMasterKey()
		if err != nil {
			t.Fatal(err)
		}
		if len(text) != 67 || strings.ContainsAny(text, " \n") {
			t.Errorf("a master key is %d characters", len(text))
		}
		if seen[text] {
			t.Fatal("the same master key twice")
		}
		seen[text] = true
	}
}

// TestAnySlipOfThePenIsFound replaces each character of a master key by each
// other one that base64 has.
func TestAnySlipOfThePenIsFound(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	good := refMasterText(seeded("slip of the pen"))
	if _, err := vault.New(good); err != nil {
		t.Fatal(err)
	}
	secrets := spellings([]byte(good[19:]), []byte(good[40:])) // 19: the prefix is no secret
	for i := range good {
		for _, c := range alphabet {
			text := good[:i] + string(c) + good[i+1:]
			if text == good {
				continue
			}
			_, err := vault.New(text)
			if err == nil {
				t.Fatalf("character %d may be %c", i, c)
			}
			wantNoneOf(t, "error", err.Error(), secrets)
		}
	}
}

// TestNewSaysWhereAndNotWhat gives New texts that hold a secret in the wrong
// place: the error names the line and shows nothing of it.
func TestNewSaysWhereAndNotWhat(t *testing.T) {
	good := refMasterText(seeded("where and not what"))
	for _, tt := range []struct {
		text string
		want string
	}{
		{"hunter2hunter2", "line 1"},
		{good + "\n\n# note\nhunter2hunter2\n", "line 4"},
		{"\n" + good + " " + good, "line 2"},
		{good[:40], "line 1"},
		{good + "\r\n" + good[:40] + "\r\n", "line 2"},
		{"\x00\xff\xfe" + good, "line 1"},
	} {
		_, err := vault.New(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want an error that says %s", err, tt.want)
			continue
		}
		wantNoneOf(t, "error", err.Error(), spellings([]byte("hunter2hunter2"), []byte(good[19:]), []byte(good[40:])))
	}
}

func TestNewTakesLooseText(t *testing.T) {
	a, b := refMasterText(seeded("loose a")), refMasterText(seeded("loose b"))
	want, err := vault.New(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		a + "\n", "  " + a + "\t\r\n", "# first\n" + a, a + "\n  # last", a + " " + b, a + "\n" + b, "\n\n" + a + "\n\n" + b + "\n",
	} {
		v, err := vault.New(text)
		if err != nil || v.String() != want.String() {
			t.Errorf("New(%d characters): %v, %v, want %v", len(text), v, err, want)
		}
	}
}

func TestCreateAndReadMasterKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	text, err := vault.CreateMasterKey(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("the file has mode %v", info.Mode())
	}
	read, err := vault.ReadMasterKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if read != text+"\n" {
		t.Error("the file does not hold the key that was returned")
	}
	if _, err := vault.New(read); err != nil {
		t.Errorf("New with what ReadMasterKey returns: %v", err)
	}

	_, err = vault.CreateMasterKey(path)
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating it again: %v", err)
	}
	if again, err := vault.ReadMasterKey(path); err != nil || again != read {
		t.Errorf("creating it again changed it (%v)", err)
	}
	if _, err = vault.CreateMasterKey(filepath.Join(path, "below", "a file")); err == nil {
		t.Error("created below a file")
	}
	if _, err = vault.CreateMasterKey(filepath.Join(t.TempDir(), "missing", "master.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}

func TestReadMasterKeyMinds(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file mode does not say here who may read")
	}
	dir := t.TempDir()
	text := refMasterText(seeded("file modes"))
	for _, tt := range []struct {
		mode fs.FileMode
		ok   bool
	}{
		{0o600, true},
		{0o400, true},
		{0o700, true},
		{0o640, false},
		{0o620, false},
		{0o610, false},
		{0o604, false},
		{0o602, false},
		{0o601, false},
		{0o644, false},
		{0o440, false},
		{0o777, false},
	} {
		path := filepath.Join(dir, tt.mode.String())
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		got, err := vault.ReadMasterKey(path)
		if tt.ok {
			if err != nil || got != text {
				t.Errorf("mode %v: %v", tt.mode, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) || got != "" {
			t.Errorf("mode %v: %v", tt.mode, err)
		}
	}

	// A link is as good as what it points to.
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, fs.FileMode(0o644).String()), link); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.ReadMasterKey(link); err == nil {
		t.Error("a link hides the mode of the file")
	}
}

func TestReadMasterKeyRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := vault.ReadMasterKey(dir); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := vault.ReadMasterKey(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, 64<<10+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.ReadMasterKey(large); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a large file: %v", err)
	}
}
