package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/perennial-billing/perennial/sqldb"
)

// TestMain lets the tests, and the scripts in testdata, run the program as a
// process of its own: the test binary under the name perennial.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"perennial": main})
}

// patience is how long a test waits for another process.
const patience = 3 * time.Minute

// TestScripts runs the command lines in testdata. Beside the usual commands of
// testscript there are
//
//	start NAME ARGUMENT...   starts perennial with arguments in the background, waits
//	                         until it is ready, and sets NAME to the URL that it tells
//	stop NAME                ends it in order, and shows what it wrote as stderr
//	kill NAME                ends it without warning
//	http STATUS METHOD URL [BODY]   asks, and shows the answer as stdout
//	keep NAME PATTERN        sets NAME to what the first group of a pattern matches in stdout
//	sql FILE STATEMENT       damages books behind the back of the program
//	receive NAME STATUS [FILE...]   opens a merchant's receiver that answers with a status, or changes
//	                         that, and writes its address in place of NAME into files
//	received NAME PATTERN    waits for the next request to it, and shows it as stdout
//	until PATTERN ARGUMENT...   runs perennial until its output matches
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values[serversKey{}] = map[string]*server{}
			env.Values[receiversKey{}] = map[string]*receiver{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": scriptStart, "stop": scriptStop, "kill": scriptKill, "http": scriptHTTP,
			"sql": scriptSQL, "keep": scriptKeep,
			"receive": scriptReceive, "received": scriptReceived, "until": scriptUntil,
		},
	})
}

// serversKey finds the servers that a script has started.
type serversKey struct{}

func servers(ts *testscript.TestScript) map[string]*server {
	return ts.Value(serversKey{}).(map[string]*server)
}

func scriptStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME ARGUMENT...")
	}
	s, err := startServer(ts.MkAbs("."), []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME")}, args[1:]...)
	ts.Check(err)
	ts.Defer(func() { s.kill() })
	servers(ts)[args[0]] = s
	ts.Setenv(args[0], s.url)
	_, err = io.WriteString(ts.Stdout(), s.announced)
	ts.Check(err)
}

func scriptStop(ts *testscript.TestScript, neg bool, args []string) {
	s := servers(ts)[args[0]]
	if s == nil || neg {
		ts.Fatalf("stop: nothing of that name was started")
	}
	ts.Check(s.process.Process.Signal(syscall.SIGTERM))
	<-s.ended
	_, err := io.WriteString(ts.Stderr(), s.output())
	ts.Check(err)
	if s.err != nil {
		ts.Fatalf("it ended with %v", s.err)
	}
}

func scriptKill(ts *testscript.TestScript, neg bool, args []string) {
	s := servers(ts)[args[0]]
	if s == nil || neg {
		ts.Fatalf("kill: nothing of that name was started")
	}
	s.kill()
}

func scriptKeep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keep NAME PATTERN")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("keep: no match in stdout")
	}
	ts.Setenv(args[0], found[1])
}

// scriptSQL damages books behind the program's back.
func scriptSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql FILE STATEMENT")
	}
	ctx := context.Background()
	db, err := sqldb.Open(ctx, "sqlite:"+ts.MkAbs(args[0]), sqldb.Options{})
	ts.Check(err)
	ts.Check(db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, args[1])
		return err
	}))
	ts.Check(db.Close())
}

func scriptHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: http STATUS METHOD URL [BODY]")
	}
	body := ""
	if len(args) > 3 {
		body = args[3]
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, args[1], args[2], strings.NewReader(body))
	ts.Check(err)
	r.SetBasicAuth(demoUser, demoPassword)
	switch {
	case strings.HasPrefix(body, "companyid="):
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case body != "":
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	_, err = ts.Stdout().Write(text)
	ts.Check(err)
	if strconv.Itoa(answer.StatusCode) != args[0] {
		ts.Fatalf("%s %s was answered with %s:\n%s", args[1], args[2], answer.Status, text)
	}
}

// server is a process of perennial that serves.
type server struct {
	process   *exec.Cmd
	url       string        // valid when it is ready
	announced string        // its first line
	ready     chan struct{} // closed when it serves
	ended     chan struct{} // closed when the process has ended
	err       error         // how, valid then

	mu   sync.Mutex
	text strings.Builder // all that it wrote
}

// startServer starts the program and waits until it tells its address: on a line
// of JSON on standard output, or of the log.
func startServer(dir string, env []string, args ...string) (*server, error) {
	s, err := launchServer(dir, env, args...)
	if err != nil {
		return nil, err
	}
	select {
	case <-s.ready:
		return s, nil
	case <-s.ended:
	case <-time.After(patience):
		s.kill()
	}
	return nil, &exec.Error{Name: "perennial", Err: errNotReady(s.output())}
}

// launchServer starts the program.
func launchServer(dir string, env []string, args ...string) (*server, error) {
	s := &server{process: exec.Command("perennial", args...), ready: make(chan struct{}), ended: make(chan struct{})}
	path, err := findProgram(env)
	if err != nil {
		return nil, err
	}
	s.process.Path, s.process.Err = path, nil
	s.process.Dir, s.process.Env = dir, env
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.process.Stdout, s.process.Stderr = w, w
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	go s.read(r)
	return s, nil
}

// errNotReady is what a server wrote that did not get ready.
type errNotReady string

func (e errNotReady) Error() string { return "did not get ready to serve:\n" + string(e) }

// findProgram finds the program in the PATH of an environment.
func findProgram(env []string) (string, error) {
	for _, v := range env {
		if dirs, ok := strings.CutPrefix(v, "PATH="); ok {
			for _, dir := range filepath.SplitList(dirs) {
				if path := filepath.Join(dir, "perennial"); executable(path) {
					return path, nil
				}
			}
		}
	}
	return exec.LookPath("perennial")
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// forPeople is the line that tells people the address of a demo.
var forPeople = regexp.MustCompile(`^ +UniPay API +(http://[^/]+)/`)

// read takes in what the process writes until it ends.
func (s *server) read(r io.ReadCloser) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var told struct {
			URL     string `json:"url"`
			Address string `json:"address"`
		}
		s.mu.Lock()
		s.text.WriteString(lines.Text() + "\n")
		s.mu.Unlock()
		_ = json.Unmarshal(lines.Bytes(), &told) // other lines are no JSON
		if people := forPeople.FindStringSubmatch(lines.Text()); people != nil {
			told.URL = people[1]
		}
		if s.url == "" && told.URL+told.Address != "" {
			s.url, s.announced = told.URL+told.Address, lines.Text()+"\n"
			close(s.ready)
		}
	}
	_ = r.Close()
	s.err = s.process.Wait()
	close(s.ended)
}

func (s *server) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// kill ends the process as kill -9 does, and waits until it is gone.
func (s *server) kill() {
	_ = s.process.Process.Kill() // it may have ended by itself
	<-s.ended
}
