package perennial

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// tree is the text of the project, parsed but not built.
type tree struct {
	module  string  // the module's path
	goMod   string  // the text of go.mod
	design  string  // the text of docs/design.md, empty while there is none
	files   []*file // of Go
	scripts []*text // of SQL
}

// text is a file that is read as it stands.
type text struct {
	path, body string
}

// file is one file of Go.
type file struct {
	path, dir string // with slashes, from the root; the root's dir is "."
	test      bool   // code for tests: by its name, or by its package's
	lines     int
	syntax    *ast.File
	fset      *token.FileSet
	imports   map[string]string // by the name that the file calls them
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+(\S+)`)

// readTree reads all of Go and SQL under a root that has a go.mod.
func readTree(root fs.FS) (*tree, error) {
	goMod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, err
	}
	m := moduleLine.FindSubmatch(goMod)
	if m == nil {
		return nil, fmt.Errorf("go.mod names no module")
	}
	tr := &tree{module: string(m[1]), goMod: string(goMod)}
	if design, err := fs.ReadFile(root, "docs/design.md"); err == nil {
		tr.design = string(design)
	}
	return tr, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name != "." && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "vendor") {
				return fs.SkipDir
			}
			return nil
		}
		switch path.Ext(name) {
		case ".sql":
			body, err := fs.ReadFile(root, name)
			tr.scripts = append(tr.scripts, &text{name, string(body)})
			return err
		case ".go":
			f, err := readFile(root, name)
			tr.files = append(tr.files, f)
			return err
		}
		return nil
	})
}

func readFile(root fs.FS, name string) (*file, error) {
	body, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}
	f := &file{path: name, dir: path.Dir(name), fset: token.NewFileSet(), imports: make(map[string]string)}
	f.test = strings.HasSuffix(name, "_test.go") || isTestPackage(f.dir)
	f.lines = strings.Count(string(body), "\n")
	f.syntax, err = parser.ParseFile(f.fset, name, body, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, spec := range f.syntax.Imports {
		f.imports[importName(spec)] = importPath(spec)
	}
	return f, nil
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic("laws: the parser let a bad import through: " + spec.Path.Value)
	}
	return p
}

var majorVersion = regexp.MustCompile(`^v\d+$`)

// importName is what the file calls an import: the name it gives, or the last element that is no version.
func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	p := importPath(spec)
	if majorVersion.MatchString(path.Base(p)) {
		p = path.Dir(p)
	}
	return path.Base(p)
}

// line is where a node begins.
func (f *file) line(n ast.Node) int { return f.fset.Position(n.Pos()).Line }

func (f *file) breach(n ast.Node, format string, args ...any) breach {
	return breach{f.path, f.line(n), fmt.Sprintf(format, args...)}
}

// member returns the package and the name of an expression like time.Now, empty if it is none.
func (f *file) member(e ast.Expr) (pkg, name string) {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return "", ""
	}
	return f.imports[x.Name], sel.Sel.Name
}

// inspect calls see for every node of the file.
func (f *file) inspect(see func(ast.Node)) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if n != nil {
			see(n)
		}
		return true
	})
}

// product returns the files that are not for tests.
func (tr *tree) product() []*file {
	var list []*file
	for _, f := range tr.files {
		if !f.test {
			list = append(list, f)
		}
	}
	return list
}

// ours returns the directory of an import that is our own.
func (tr *tree) ours(importPath string) (dir string, ok bool) {
	if importPath == tr.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, tr.module+"/")
}

// short writes our own imports as "./store", others as they are.
func (tr *tree) short(importPath string) string {
	if dir, ok := tr.ours(importPath); ok {
		return "./" + dir
	}
	return importPath
}

// eachLine calls see for every line of a text, counted from one.
func eachLine(body string, see func(number int, line string)) {
	number := 0
	for line := range strings.Lines(body) {
		number++
		see(number, strings.TrimRight(line, "\n"))
	}
}
