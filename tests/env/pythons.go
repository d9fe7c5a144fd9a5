package env

import "testing"

// Python is an interpreter that a target can have, and the Debian root that carries it.
type Python struct {
	Name string // 3.13
	Path string // for ansible_python_interpreter; "" where Ansible finds it by itself
	root string
}

// Pythons are the interpreters that targets are tested with, from the oldest to the newest.
var Pythons = []Python{
	{"2.7", "/usr/bin/python2.7", "bullseye"}, {"3.9", "", "bullseye"}, {"3.11", "", "bookworm"}, {"3.13", "", "trixie"}, {"3.14", "", "sid"},
}

// Root returns the root file system of a target that has it.
func (p Python) Root(t testing.TB) string {
	t.Helper()
	return RootOf(t, p.root)
}

// Pair is what a parity run has at its two ends.
type Pair struct {
	Version Version
	Python  Python
}

// String names a pair as tests do: 2.19,py3.13.
func (p Pair) String() string { return p.Version.Name + ",py" + p.Python.Name }

// manages says which Pythons a release supports on targets: the oldest and the newest of Pythons.
var manages = map[string][2]string{"2.10": {"2.7", "3.11"}, "2.14": {"2.7", "3.11"}, "2.19": {"3.9", "3.13"}, "2.22": {"3.9", "3.14"}}

// Pairs are all combinations of a release and a target's Python that Ansible supports. Those in which both are of one Debian come first.
func Pairs() (out []Pair) {
	var mixed []Pair
	for _, v := range append(append([]Version{}, Versions...), Oldest) {
		in := false
		for _, p := range Pythons {
			in = in || p.Name == manages[v.Name][0]
			switch {
			case !in:
			case p == v.Python():
				out = append(out, Pair{v, p})
			default:
				mixed = append(mixed, Pair{v, p})
			}
			in = in && p.Name != manages[v.Name][1]
		}
	}
	return append(out, mixed...)
}

// Python is the newest one in the root of this version.
func (v Version) Python() (newest Python) {
	for _, p := range Pythons {
		if p.root == v.root {
			newest = p
		}
	}
	return newest
}
