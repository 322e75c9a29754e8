package perennial

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// checkArrows holds the imports between our packages against the table.
func checkArrows(tr *tree) (found []breach) {
	for _, f := range tr.files {
		if strings.HasSuffix(f.path, "_test.go") {
			continue // the compiler keeps tests from making circles, and they may look at anything
		}
		may, named := arrowsOf(f.dir)
		if !named && isTestPackage(f.dir) {
			continue
		}
		if !named {
			found = append(found, f.breach(f.syntax.Name, "package %s is not in the table of arrows", f.dir))
			continue
		}
		for _, spec := range f.syntax.Imports {
			to, ok := tr.ours(importPath(spec))
			if ok && !slices.Contains(may, to) && !slices.Contains(may, anything) {
				found = append(found, f.breach(spec, "%s may not import %s; it may import %v", f.dir, to, may))
			}
		}
	}
	return found
}

// arrowsOf looks a package up in the table.
func arrowsOf(dir string) (may []string, named bool) {
	if may, named = arrows[dir]; named {
		return may, true
	}
	may, named = arrows[path.Dir(dir)+"/*"]
	return may, named
}

// checkChain looks for a path of imports that is too long to keep in mind.
func checkChain(tr *tree) (found []breach) {
	edges := make(map[string]map[string]bool)
	places := make(map[string]breach)
	for _, f := range tr.product() {
		if edges[f.dir] == nil {
			edges[f.dir] = make(map[string]bool)
			places[f.dir] = f.breach(f.syntax.Name, "")
		}
		for _, spec := range f.syntax.Imports {
			if to, ok := tr.ours(importPath(spec)); ok {
				edges[f.dir][to] = true
			}
		}
	}
	known := make(map[string][]string)
	var chain func(dir string) []string
	chain = func(dir string) []string {
		if c, ok := known[dir]; ok {
			return c
		}
		known[dir] = []string{dir} // also ends a circle, which would not compile anyway
		best := []string{dir}
		for _, to := range slices.Sorted(maps.Keys(edges[dir])) {
			if c := chain(to); len(c)+1 > len(best) {
				best = append([]string{dir}, c...)
			}
		}
		known[dir] = best
		return best
	}
	for _, dir := range slices.Sorted(maps.Keys(edges)) {
		if c := chain(dir); len(c)-1 > longestChain {
			b := places[dir]
			b.reason = fmt.Sprintf("%d arrows in a row, at most %d: %s", len(c)-1, longestChain, strings.Join(c, " -> "))
			found = append(found, b)
		}
	}
	return found
}

// checkTestPackages keeps what exists for tests out of the product.
func checkTestPackages(tr *tree) (found []breach) {
	for _, f := range tr.product() {
		for _, spec := range f.syntax.Imports {
			if to, ok := tr.ours(importPath(spec)); ok && isTestPackage(to) {
				found = append(found, f.breach(spec, "%s exists for tests and may be imported by tests only", to))
			}
		}
	}
	return found
}

// checkReserved holds imports and names against the reservations.
func checkReserved(tr *tree) (found []breach) {
	for _, f := range tr.files {
		for _, r := range reservations {
			if f.test && !r.tests || within(f.dir, r.where) {
				continue
			}
			place := strings.Join(r.where, ", ")
			if place == "" {
				place = "nowhere"
			}
			if len(r.names) == 0 {
				for _, spec := range f.syntax.Imports {
					if matches(r.path, tr.short(importPath(spec))) {
						found = append(found, f.breach(spec, "%s belongs in %s: %s", r.path, place, r.why))
					}
				}
				continue
			}
			f.inspect(func(n ast.Node) {
				e, ok := n.(ast.Expr)
				if !ok {
					return
				}
				pkg, name := f.member(e)
				if pkg != "" && matches(r.path, tr.short(pkg)) && slices.Contains(r.names, name) {
					found = append(found, f.breach(n, "%s.%s belongs in %s: %s", r.path, name, place, r.why))
				}
			})
		}
	}
	return found
}

// checkPureRules wants rules that are decided from values alone, by the standard library alone.
func checkPureRules(tr *tree) (found []breach) {
	for _, f := range tr.product() {
		if !within(f.dir, pureRules) {
			continue
		}
		for _, spec := range f.syntax.Imports {
			p := importPath(spec)
			host, _, _ := strings.Cut(p, "/")
			_, own := tr.ours(p) // arrows has its own say on that
			if within(p, impure) || strings.Contains(host, ".") && !own {
				found = append(found, f.breach(spec, "%s: a rule is decided from values, with the standard library alone", p))
			}
		}
	}
	return found
}

// checkQuietImports refuses imports that act by being there, and those that hide where a name comes from.
func checkQuietImports(tr *tree) (found []breach) {
	for _, f := range tr.files {
		for _, spec := range f.syntax.Imports {
			if spec.Name == nil {
				continue
			}
			p := importPath(spec)
			switch spec.Name.Name {
			case ".":
				found = append(found, f.breach(spec, "import . hides where a name comes from"))
			case "_":
				allowed := false
				for pattern, where := range quietImports {
					allowed = allowed || matches(pattern, p) && within(f.dir, where)
				}
				if !allowed && !f.test {
					found = append(found, f.breach(spec, "import _ %q: nothing registers itself, the command names its parts", p))
				}
			}
		}
	}
	return found
}

// checkPackageComments wants a package comment of more than a phrase, once in each package.
func checkPackageComments(tr *tree) (found []breach) {
	first := make(map[string]*file)
	comments := make(map[string][]*file)
	for _, f := range tr.files {
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		if first[f.dir] == nil {
			first[f.dir] = f
		}
		if f.syntax.Doc != nil {
			comments[f.dir] = append(comments[f.dir], f)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(first)) {
		list := comments[dir]
		if len(list) == 0 {
			f := first[dir]
			found = append(found, f.breach(f.syntax.Name, "package %s has no package comment", dir))
			continue
		}
		for _, f := range list[1:] {
			found = append(found, f.breach(f.syntax.Name, "package %s has its comment in %s already", dir, list[0].path))
		}
		f := list[0]
		words := strings.Fields(f.syntax.Doc.Text())
		name := f.syntax.Name.Name
		switch {
		case name != "main" && (len(words) < 2 || words[0] != "Package" || words[1] != name):
			found = append(found, f.breach(f.syntax.Name, "the comment of package %s does not begin with its name", dir))
		case len(words) < shortestOverview:
			found = append(found, f.breach(f.syntax.Name, "the comment of package %s tells nothing: %d words", dir, len(words)))
		}
	}
	return found
}

// checkDocs wants a comment at every exported function, method, type, constant and variable.
func checkDocs(tr *tree) (found []breach) {
	for _, f := range tr.product() {
		if f.syntax.Name.Name == "main" {
			continue
		}
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && ast.IsExported(receiver(d)) {
					found = append(found, f.breach(d.Name, "exported %s has no comment", d.Name.Name))
				}
			case *ast.GenDecl:
				found = append(found, undocumented(f, d)...)
			}
		}
	}
	return found
}

// undocumented finds the exported names of a declaration that have no comment. One at the end of the line is enough;
// in a group of constants or variables the comment of the group is, too.
func undocumented(f *file, d *ast.GenDecl) (found []breach) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && (d.Doc == nil || d.Lparen.IsValid()) {
				found = append(found, f.breach(s.Name, "exported type %s has no comment", s.Name.Name))
			}
		case *ast.ValueSpec:
			if d.Doc != nil || s.Doc != nil || s.Comment != nil {
				continue
			}
			for _, name := range s.Names {
				if name.IsExported() {
					found = append(found, f.breach(name, "exported %s has no comment", name.Name))
				}
			}
		}
	}
	return found
}

// receiver is the name of the type a method is on. A function counts as on an exported one.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return "Function"
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

var (
	floatTypes = []string{"float32", "float64", "complex64", "complex128"}
	floatUnits = []string{"Seconds", "Minutes", "Hours"}
	floatSQL   = regexp.MustCompile(`(?i)(\bas\s+|::\s*)(real|float\d*|double)\b|double\s+precision`)
	floatTable = regexp.MustCompile(`(?i)\b(real|float\d*|double)\b`)
	quotedSQL  = regexp.MustCompile(`'[^']*'`)
	integral   = regexp.MustCompile(`^(Max|Min)U?[Ii]nt\d*$`)
)

// checkFloats finds floating point numbers by type, literal, and the functions and columns that make them.
func checkFloats(tr *tree) (found []breach) {
	const why = "floating point numbers cannot hold money, and there is no telling what becomes money"
	for _, f := range tr.product() {
		f.inspect(func(n ast.Node) {
			switch n := n.(type) {
			case *ast.Ident:
				if slices.Contains(floatTypes, n.Name) {
					found = append(found, f.breach(n, "%s: %s", n.Name, why))
				}
			case *ast.BasicLit:
				if n.Kind == token.FLOAT || n.Kind == token.IMAG ||
					n.Kind == token.STRING && floatSQL.MatchString(n.Value) {
					found = append(found, f.breach(n, "%s: %s", n.Value, why))
				}
			case *ast.SelectorExpr:
				pkg, name := f.member(n)
				if strings.Contains(n.Sel.Name, "Float") || pkg == "math" && !integral.MatchString(name) {
					found = append(found, f.breach(n, "%s: %s", n.Sel.Name, why))
				}
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if ok && len(n.Args) == 0 && slices.Contains(floatUnits, sel.Sel.Name) {
					found = append(found, f.breach(n, "%s() of a duration: %s", sel.Sel.Name, why))
				}
			}
		})
	}
	for _, s := range tr.scripts {
		eachLine(s.body, func(number int, line string) {
			code, _, _ := strings.Cut(line, "--") // text is no type
			if m := floatTable.FindString(quotedSQL.ReplaceAllString(code, "''")); m != "" {
				found = append(found, breach{s.path, number, m + ": " + why})
			}
		})
	}
	return found
}

// checkNames looks for packages and files whose names say nothing.
func checkNames(tr *tree) (found []breach) {
	for _, f := range tr.files {
		name := strings.TrimSuffix(strings.TrimSuffix(f.path, ".go"), "_test")
		words := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("/_-.", r) })
		for _, w := range append(words, f.syntax.Name.Name) {
			i := slices.IndexFunc(badWords, func(bad string) bool { return strings.HasSuffix(w, bad) })
			if i >= 0 {
				found = append(found, f.breach(f.syntax.Name, "%q says nothing about what this is for", badWords[i]))
				break
			}
		}
	}
	return found
}

// checkSizes looks for pieces too large for one reading.
func checkSizes(tr *tree) (found []breach) {
	methods := make(map[string]int)
	for _, f := range tr.files {
		if limit := longestFile; !f.test && f.lines > limit || f.test && f.lines > longestTest {
			if f.test {
				limit = longestTest
			}
			found = append(found, f.breach(f.syntax.Name, "%d lines in a file, at most %d", f.lines, limit))
		}
		if f.test {
			continue
		}
		f.inspect(func(n ast.Node) {
			switch n := n.(type) {
			case *ast.FuncDecl:
				found = append(found, functionSizes(f, n)...)
				if n.Recv != nil {
					on := f.dir + "." + receiver(n)
					methods[on]++
					if methods[on] == mostMethods+1 && wideTypes[on] == "" {
						found = append(found, f.breach(n.Name, "%s has more than %d methods", on, mostMethods))
					}
				}
			case *ast.InterfaceType:
				if m := n.Methods.NumFields(); m > widestInterface {
					found = append(found, f.breach(n, "%d methods in an interface, at most %d", m, widestInterface))
				}
			}
		})
	}
	return found
}

func functionSizes(f *file, d *ast.FuncDecl) (found []breach) {
	if n := f.fset.Position(d.End()).Line - f.line(d.Type) + 1; n > longestFunction {
		found = append(found, f.breach(d.Name, "%s has %d lines, at most %d", d.Name.Name, n, longestFunction))
	}
	parameters := 0
	for _, p := range d.Type.Params.List {
		if pkg, name := f.member(p.Type); pkg == "context" && name == "Context" {
			continue
		}
		parameters += max(1, len(p.Names))
	}
	if parameters > mostParameters {
		found = append(found, f.breach(d.Name, "%s has %d parameters, at most %d; beyond that a struct",
			d.Name.Name, parameters, mostParameters))
	}
	return found
}

// checkGoroutines finds go statements where nothing may outlive its call.
func checkGoroutines(tr *tree) (found []breach) {
	for _, f := range tr.product() {
		if !within(f.dir, noGoroutines) {
			continue
		}
		f.inspect(func(n ast.Node) {
			if g, ok := n.(*ast.GoStmt); ok {
				found = append(found, f.breach(g, "a rule, a verb or a handler starts nothing that outlives it"))
			}
		})
	}
	return found
}

// checkInit finds functions that run by being linked.
func checkInit(tr *tree) (found []breach) {
	for _, f := range tr.files {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, f.breach(fn, "nothing starts itself: the command puts the parts together"))
			}
		}
	}
	return found
}

// checkState finds package variables that are made to change: locks, atomics, channels and maps to be filled.
func checkState(tr *tree) (found []breach) {
	for _, f := range tr.product() {
		for _, d := range f.syntax.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				if v := spec.(*ast.ValueSpec); holdsState(f, v) {
					found = append(found, f.breach(v, "%s is global state; hand it down from the command", v.Names[0].Name))
				}
			}
		}
	}
	return found
}

func holdsState(f *file, v *ast.ValueSpec) bool {
	exprs := append([]ast.Expr{v.Type}, v.Values...)
	for _, e := range exprs {
		switch x := e.(type) {
		case *ast.CallExpr:
			if id, ok := x.Fun.(*ast.Ident); ok && (id.Name == "make" || id.Name == "new") {
				return true
			}
		case *ast.CompositeLit:
			e = x.Type
		case *ast.IndexExpr: // atomic.Pointer[T]
			e = x.X
		}
		if pkg, _ := f.member(e); pkg == "sync" || pkg == "sync/atomic" {
			return true
		}
	}
	return false
}

var everyColumn = regexp.MustCompile(`(?i)\bselect\s+(distinct\s+)?(\w+\.)?\*|\breturning\s+\*`)

// ownColumns is what may follow: its columns are those that the statement itself has just made.
var ownColumns = regexp.MustCompile(`(?i)^\s+from\s+(unnest\s*\(|\(\s*values\b)`)

// checkSQL finds statements that take whatever columns there are: their meaning changes with the schema, and on
// PostgreSQL they break the plans that connections keep.
func checkSQL(tr *tree) (found []breach) {
	const why = "name the columns: a statement must mean the same after the next migration"
	for _, f := range tr.product() {
		f.inspect(func(n ast.Node) {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return
			}
			for _, at := range everyColumn.FindAllStringIndex(lit.Value, -1) {
				if ownColumns.MatchString(lit.Value[at[1]:]) {
					continue
				}
				line := f.line(lit) + strings.Count(lit.Value[:at[0]], "\n")
				found = append(found, breach{f.path, line, why})
			}
		})
	}
	for _, s := range tr.scripts {
		eachLine(s.body, func(number int, line string) {
			code, _, _ := strings.Cut(line, "--")
			if everyColumn.MatchString(code) {
				found = append(found, breach{s.path, number, why})
			}
		})
	}
	return found
}

var moduleVersion = regexp.MustCompile(`/v\d+$`)

// checkModules reads go.mod: few modules, each with its reason in the design, and none bent to something else.
func checkModules(tr *tree) (found []breach) {
	direct, block := 0, ""
	eachLine(tr.goMod, func(number int, line string) {
		code, comment, _ := strings.Cut(line, "//")
		words := strings.Fields(code)
		switch {
		case len(words) == 0:
			return
		case words[0] == ")":
			block = ""
			return
		case len(words) == 2 && words[1] == "(":
			block = words[0]
			return
		case block != "":
			words = append([]string{block}, words...)
		}
		switch words[0] {
		case "replace", "exclude":
			found = append(found, breach{"go.mod", number, words[0] + ": users build what is written, so write what is built"})
		case "require":
			if strings.TrimSpace(comment) == "indirect" {
				return
			}
			direct++
			if direct == mostModules+1 {
				found = append(found, breach{"go.mod", number, "more than " + strconv.Itoa(mostModules) + " direct modules"})
			}
			name := strings.TrimPrefix(moduleVersion.ReplaceAllString(words[1], ""), "github.com/")
			if tr.design != "" && !strings.Contains(tr.design, name) {
				found = append(found, breach{"go.mod", number, name + " has no line in docs/design.md that says why"})
			}
		}
	})
	return found
}
