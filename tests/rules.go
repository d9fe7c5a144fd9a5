package tests

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// source is one parsed Go file of this module.
type source struct {
	name string // path inside the module
	file *ast.File
	fset *token.FileSet
}

// dir is the package's path inside the module.
func (s source) dir() string { return path.Dir(s.name) }

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

// at names a place in the file.
func (s source) at(n ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", s.name, s.fset.Position(n.Pos()).Line, fmt.Sprintf(format, args...))
}

const protoactor = "github.com/asynkron/protoactor-go"

// floors says how high each part of the house stands: a package may import what stands lower, and its own part.
// What is not listed (tests, benchmarks, tools) may import everything, and nothing that is listed may import it.
var floors = map[string]int{"cmd": 6, "ansiblebridge": 5, "services": 4, "actors": 3, "transports": 2, "bootstrap": 2, "transports/wire": 1}

// part is the part of the house that a package belongs to.
func part(dir string) string {
	if dir == "transports/wire" || strings.HasPrefix(dir, "transports/wire/") {
		return "transports/wire"
	}
	first, _, _ := strings.Cut(dir, "/")
	return first
}

// imports checks that arrows point down, and who may use protoactor.
func imports(s source) []string {
	var out []string
	from := part(s.dir())
	for _, spec := range s.file.Imports {
		to, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if to == protoactor || strings.HasPrefix(to, protoactor+"/") {
			if !slices.Contains([]string{"actors", "services", "ansiblebridge", "cmd"}, from) {
				out = append(out, s.at(spec, "%s must not know protoactor", s.dir()))
			}
			if sub := strings.TrimPrefix(to, protoactor+"/"); !slices.Contains([]string{"actor", "eventstream"}, sub) {
				out = append(out, s.at(spec, "protoactor's %s is not used in this house", sub))
			}
			continue
		}
		inner, ok := strings.CutPrefix(to, "spindle/")
		if !ok {
			continue
		}
		target := part(inner)
		if target == from {
			continue
		}
		if s.test() && (strings.HasPrefix(inner, "tests/") || inner == "bootstrap") {
			continue // a test may use the instruments, and boot a real agent
		}
		high, listed := floors[from]
		low, known := floors[target]
		switch {
		case listed && !known:
			out = append(out, s.at(spec, "%s must not import %s: it is no part of the product", s.dir(), inner))
		case listed && low >= high:
			out = append(out, s.at(spec, "%s must not import %s: arrows point down only", s.dir(), inner))
		}
		// Only cmd wires concrete connection methods together; everybody else knows their interface.
		if target == "transports" && inner != "transports" && from != "cmd" && listed && !s.test() {
			out = append(out, s.at(spec, "%s must not import %s: concrete transports are registered in cmd", s.dir(), inner))
		}
	}
	return out
}

// actorFile says whether a file is the inside of an actor: it sees the actor library, and is neither the seam over it, nor a pump.
func actorFile(s source) bool {
	if s.test() || path.Base(s.name) == "pump.go" || strings.HasSuffix(s.name, "_pump.go") {
		return false
	}
	switch d := s.dir(); {
	case d == "actors", strings.HasPrefix(d, "actors/census"), strings.HasPrefix(d, "actors/actorstest"), part(d) == "cmd":
		return false
	}
	for _, spec := range s.file.Imports {
		if strings.Contains(spec.Path.Value, protoactor) {
			return true
		}
	}
	return false
}

// alone checks that an actor shares nothing and waits for nothing: it has a mailbox for that.
func alone(s source) []string {
	if !actorFile(s) {
		return nil
	}
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			out = append(out, s.at(n, "an actor starts no goroutine: use actors.Go, in a pump file"))
		case *ast.ChanType, *ast.SendStmt, *ast.SelectStmt:
			out = append(out, s.at(n, "an actor uses no channel: it has a mailbox"))
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				out = append(out, s.at(n, "an actor receives from no channel: it has a mailbox"))
			}
		case *ast.SelectorExpr:
			switch name := selector(n); name {
			case "sync.Mutex", "sync.RWMutex", "sync.Once", "sync.WaitGroup", "sync.Cond", "sync.Map":
				out = append(out, s.at(n, "an actor needs no %s: nothing of it is shared", name))
			case "time.Sleep":
				out = append(out, s.at(n, "an actor does not sleep: use actors.After"))
			}
			if strings.HasPrefix(selector(n), "atomic.") {
				out = append(out, s.at(n, "an actor needs no %s: nothing of it is shared", selector(n)))
			}
		}
		return true
	})
	return out
}

// selector is a selector expression of two plain names, as "pkg.Name", or "".
func selector(n *ast.SelectorExpr) string {
	if x, ok := n.X.(*ast.Ident); ok {
		return x.Name + "." + n.Sel.Name
	}
	return ""
}

// banned checks for the calls of protoactor that are known to be broken. Only the seam's own tests may show that they are.
func banned(s source) []string {
	if s.dir() == "actors" && s.test() {
		return nil
	}
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		e, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch {
		case e.Sel.Name == "SetReceiveTimeout", e.Sel.Name == "CancelReceiveTimeout":
			out = append(out, s.at(n, "%s races with its own timer: use actors.After", e.Sel.Name))
		case selector(e) == "actor.Bounded", selector(e) == "actor.BoundedDropping":
			out = append(out, s.at(n, "a bounded mailbox spins and deadlocks: use credit"))
		case e.Sel.Name == "Stash":
			out = append(out, s.at(n, "Stash reverses order and forgets senders: keep a list"))
		}
		return true
	})
	return out
}

// documented checks that every exported name says what it is for.
func documented(s source) []string {
	if s.test() || s.file.Name.Name == "main" {
		return nil
	}
	var out []string
	miss := func(n ast.Node, kind, name string) {
		out = append(out, s.at(n, "%s %s is exported and not documented", kind, name))
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
				miss(d, "func", d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
						miss(spec, "type", spec.Name.Name)
					}
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
							miss(spec, d.Tok.String(), name.Name)
						}
					}
				}
			}
		}
	}
	return out
}

// exportedReceiver says whether a function is seen outside: a plain function, or a method of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
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
			return x.IsExported()
		default:
			return true
		}
	}
}

// doors checks that every package has a doc.go (a program: its main.go) whose comment is long enough to be of use.
func doors(all []source) []string {
	lines := map[string]int{}
	for _, s := range all {
		if _, ok := lines[s.dir()]; !ok && !s.test() {
			lines[s.dir()] = 0
		}
		door := path.Base(s.name) == "doc.go" || s.file.Name.Name == "main" && path.Base(s.name) == "main.go"
		if door && s.file.Doc != nil {
			for _, c := range s.file.Doc.List {
				lines[s.dir()] += strings.Count(c.Text, "\n") + 1
			}
		}
	}
	var out []string
	for dir, n := range lines {
		if n < 10 {
			out = append(out, fmt.Sprintf("%s: doc.go has %d lines of comment, and 10 are the least that explain a package", dir, n))
		}
	}
	slices.Sort(out)
	return out
}
