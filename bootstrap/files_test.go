package bootstrap

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"spindle/transports/wire"
)

// files runs file operations and returns their results.
func (r *remote) files(input string, ops ...any) ([]any, result) {
	r.t.Helper()
	res := r.call("files", meta{"ops": append([]any{}, ops...)}, []byte(input))
	var list []any
	if res.Status == wire.StatusOK {
		if err := json.Unmarshal([]byte(res.Out), &list); err != nil {
			r.t.Fatalf("files: %q: %v", res.Out, err)
		}
	}
	return list, res
}

func TestFiles(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		d := r.dir
		type op = meta
		home := r.facts["home"].(string)
		for _, tc := range []struct {
			name  string
			ops   []any
			input string
			want  any    // the results
			err   string // or the error
			errno int
			check string // a command that shows what has happened
			shows string
		}{
			{name: "nothing", want: []any{}},
			{name: "mkdir", ops: []any{op{"op": "mkdir", "path": d + "/a"}}, want: []any{nil}, check: "stat -c %a a", shows: "700\n"},
			{name: "mkdir again", ops: []any{op{"op": "mkdir", "path": d + "/a"}}, err: "mkdir " + d + "/a: File exists", errno: 17},
			{name: "mkdir mode", ops: []any{op{"op": "mkdir", "path": d + "/b", "mode": 0o1777}}, want: []any{nil}, check: "stat -c %a b", shows: "1777\n"},
			{name: "mkdir without parents", ops: []any{op{"op": "mkdir", "path": d + "/x/y/z"}}, err: "mkdir " + d + "/x/y/z: No such file or directory", errno: 2},
			{name: "mkdir parents", ops: []any{op{"op": "mkdir", "path": d + "/x/y/z", "parents": true}, op{"op": "mkdir", "path": d + "/x/y/z", "parents": true}}, want: []any{nil, nil}, check: "stat -c %a x x/y/z", shows: "755\n700\n"},
			{name: "mkdir parents over a file", ops: []any{op{"op": "write", "path": d + "/file", "size": 0}, op{"op": "mkdir", "path": d + "/file", "parents": true}}, err: "mkdir " + d + "/file: File exists", errno: 17},
			{name: "mkdir temp", ops: []any{op{"op": "mkdir", "path": d + "/base/tmp/ansible-tmp-1", "temp": true}}, want: []any{nil}, check: "stat -c %a base/tmp/ansible-tmp-1", shows: "700\n"},
			{name: "write two", input: "onetwo2", ops: []any{op{"op": "write", "path": d + "/1", "size": 3, "mode": 0o640}, op{"op": "write", "path": d + "/2", "size": 4, "mtime": 1234567890.5, "atime": 1234567880}}, want: []any{nil, nil}, check: "stat -c '%a %Y %X' 1 2 | sed s/640.*/640/; cat 1 2", shows: "640\n644 1234567890 1234567880\nonetwo2"},
			{name: "write keeps a mode", input: "new", ops: []any{op{"op": "write", "path": d + "/1", "size": 3}}, want: []any{nil}, check: "cat 1; stat -c ' %a' 1", shows: "new 640\n"},
			{name: "write too little", input: "ab", ops: []any{op{"op": "write", "path": d + "/3", "size": 3}}, err: "transfer of '" + d + "/3' was interrupted.", check: "ls 3 .ans* 2>&1 | wc -l", shows: "2\n"},
			{name: "write nowhere", input: "ab", ops: []any{op{"op": "write", "path": d + "/no/where", "size": 2}}, err: "write " + d + "/no/where: No such file or directory", errno: 2},
			{name: "write to a directory", input: "ab", ops: []any{op{"op": "write", "path": d + "/a", "size": 2}}, err: "write " + d + "/a: Is a directory", errno: 21, check: "ls -A | grep -c ans; true", shows: "0\n"},
			{name: "stops at the first", input: "ab", ops: []any{op{"op": "remove", "path": d + "/2"}, op{"op": "rename", "path": d + "/2", "dest": d + "/3"}, op{"op": "mkdir", "path": d + "/never"}}, err: "rename " + d + "/2: No such file or directory", errno: 2, check: "ls -d never 2>/dev/null; true"},
			{name: "remove", ops: []any{op{"op": "remove", "path": d + "/1"}, op{"op": "remove", "path": d + "/1"}, op{"op": "remove", "path": d + "/1/2"}}, want: []any{nil, nil, nil}, check: "ls 1 2>/dev/null; true"},
			{name: "remove a full directory", ops: []any{op{"op": "remove", "path": d + "/x"}}, err: "remove " + d + "/x: Directory not empty", errno: 39},
			{name: "remove recursive", ops: []any{op{"op": "write", "path": d + "/x/f", "size": 0}, op{"op": "remove", "path": d + "/x", "recursive": true}}, want: []any{nil, nil}, check: "ls x 2>/dev/null; true"},
			{name: "rename", input: "r", ops: []any{op{"op": "write", "path": d + "/4", "size": 1}, op{"op": "rename", "path": d + "/4", "dest": d + "/5"}}, want: []any{nil, nil}, check: "cat 5", shows: "r"},
			{name: "exists", ops: []any{op{"op": "exists", "path": d + "/5"}, op{"op": "exists", "path": d + "/4"}, op{"op": "exists", "path": d + "/5/6"}}, want: []any{true, false, false}},
			{name: "stat nothing", ops: []any{op{"op": "stat", "path": d + "/4"}, op{"op": "stat", "path": d + "/5/6"}}, want: []any{nil, nil}},
			{name: "expanduser", ops: []any{op{"op": "expanduser", "path": "~/x"}, op{"op": "expanduser", "path": "~root"}, op{"op": "expanduser", "path": "~nobody9/x"}, op{"op": "expanduser", "path": "/~"}}, want: []any{home + "/x", "/root", "~nobody9/x", "/~"}},
			{name: "chmod", ops: []any{op{"op": "chmod", "path": d + "/5", "mode": 0o4711}}, want: []any{nil}, check: "stat -c %a 5", shows: "4711\n"},
			{name: "chmod nothing", ops: []any{op{"op": "chmod", "path": d + "/4", "mode": "u+x"}}, err: "chmod " + d + "/4: No such file or directory", errno: 2},
			{name: "chmod nonsense", ops: []any{op{"op": "chmod", "path": d + "/5", "mode": "u+q"}}, err: "chmod " + d + "/5: invalid mode: u+q", errno: 22},
			{name: "chown", ops: []any{op{"op": "chown", "path": d + "/5", "user": "daemon", "group": "bin"}}, want: []any{nil}, check: "stat -c '%U %G' 5", shows: "daemon bin\n"},
			{name: "chown ids", ops: []any{op{"op": "chown", "path": d + "/5", "user": 12345}, op{"op": "chown", "path": d + "/5", "user": nil, "group": "54321"}}, want: []any{nil, nil}, check: "stat -c '%u %g' 5", shows: "12345 54321\n"},
			{name: "chown nobody", ops: []any{op{"op": "chown", "path": d + "/5", "user": "no one"}}, err: "chown " + d + "/5: no such user: no one", errno: 22},
			{name: "odd names", input: "x", ops: []any{op{"op": "write", "path": json.RawMessage(fmt.Sprintf(`"%s/é \udcff\n"`, d)), "size": 1}, op{"op": "exists", "path": json.RawMessage(fmt.Sprintf(`"%s/é \udcff\n"`, d))}}, want: []any{nil, true}, check: `ls | grep -a -c "$(printf 'é \377')"`, shows: "1\n"},
			{name: "NUL", ops: []any{op{"op": "exists", "path": d + "/5"}, op{"op": "mkdir", "path": d + "/\x00"}}, errno: 22},
			{name: "device", input: "gone", ops: []any{op{"op": "write", "path": "/dev/null", "size": 4}}, want: []any{nil}, check: "test -c /dev/null && echo device", shows: "device\n"},
		} {
			t.Run(tc.name, func(t *testing.T) {
				got, res := r.files(tc.input, tc.ops...)
				if tc.want != nil {
					if diff := cmp.Diff(tc.want, any(got)); diff != "" || res.Status != wire.StatusOK {
						t.Errorf("%+v, mismatch (-want +got):\n%s", res, diff)
					}
				} else if res.Status != wire.StatusError || res.Errno != tc.errno || tc.err != "" && res.Text != tc.err {
					t.Errorf("got %+v, want error %d %q", res, tc.errno, tc.err)
				}
				if tc.check != "" {
					if got := r.shell("cd " + d + " && " + tc.check); got != tc.shows {
						t.Errorf("%s shows %q, want %q", tc.check, got, tc.shows)
					}
				}
			})
		}
	})
}

func TestStat(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		r.shell("cd " + r.dir + "; printf 12345 >f; chmod 640 f; ln -s f l")
		got, _ := r.files("", meta{"op": "stat", "path": r.dir + "/l"}, meta{"op": "stat", "path": r.dir + "/l", "follow": true})
		link, file := got[0].(map[string]any), got[1].(map[string]any)
		if m := int(link["mode"].(float64)); m&0o170000 != 0o120000 {
			t.Errorf("mode of the link is %o", m)
		}
		if m := int(file["mode"].(float64)); m != 0o100640 || file["size"] != 5.0 {
			t.Errorf("mode %o, size %v", m, file["size"])
		}
		for _, key := range []string{"uid", "gid", "mtime", "atime", "ctime", "ino", "dev", "nlink"} {
			if _, ok := file[key].(float64); !ok {
				t.Errorf("%s is %v", key, file[key])
			}
		}
	})
}

// The program chmod is the judge of what a symbolic mode means.
func TestSymbolicModes(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		if tg.name != "host" && tg.name != "2.7" {
			t.Skip("the same arithmetic in every Python 3")
		}
		r := boot(t, tg)
		modes := []string{
			"u+x", "go-w", "a=rx", "u=rwx,g=rx,o=", "+x", "-w", "=r", "u+s", "g+s", "+t", "o+t", "ug+rwX", "a+X", "a-x,a+X",
			"u=g", "o=u", "g+u,o-g", "u+rwx,go+rx-w", "u=,g=r", "a=", "u-s,g-s", "0", "644", "2755", "u+rws,o-rwx", "ugo=rX", "u+x+w-r",
		}
		var script strings.Builder
		var ops []any
		fmt.Fprintf(&script, "umask 027; cd %s; ", r.dir)
		n := 0
		for _, kind := range []string{"f", "d"} {
			for _, old := range []string{"000", "644", "751", "6755", "1777", "2070"} {
				for _, mode := range modes {
					if kind == "d" && mode[0] <= '9' && mode[0] >= '0' {
						continue // GNU's is strange about numbers for directories; ours takes them for what they are
					}
					n++
					make := map[string]string{"f": ": >", "d": "mkdir "}[kind]
					fmt.Fprintf(&script, "%[1]s%[2]d; %[1]s%[2]d.ours; chmod %[3]s %[2]d %[2]d.ours; chmod %[4]s %[2]d; ", make, n, old, mode)
					ops = append(ops, meta{"op": "chmod", "path": fmt.Sprintf("%s/%d.ours", r.dir, n), "mode": mode})
				}
			}
		}
		if res := r.call("exec", meta{"argv": []string{"/bin/sh", "-s"}}, []byte(script.String())); res.Status != wire.StatusOK {
			t.Fatalf("%+v", res)
		}
		if res := r.call("files", meta{"ops": ops, "umask": 0o27}, nil); res.Status != wire.StatusOK {
			t.Fatalf("%+v", res)
		}
		for i := range n {
			path := filepath.Join(r.local, fmt.Sprint(i+1))
			want, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.Stat(path + ".ours")
			if err != nil {
				t.Fatal(err)
			}
			if got.Mode() != want.Mode() {
				t.Errorf("%v of case %d: got %v, want %v", ops[i].(meta)["mode"], i, got.Mode(), want.Mode())
			}
		}
	})
}

func TestTemporaryDirectoriesGo(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		r := boot(t, tg)
		d := r.dir + "/base/tmp"
		if r.facts["tmp"] != d {
			t.Fatalf("tmp is %v, want %s", r.facts["tmp"], d)
		}
		r.files("", meta{"op": "mkdir", "path": d + "/one", "temp": true}, meta{"op": "mkdir", "path": d + "/two", "temp": true},
			meta{"op": "mkdir", "path": r.dir + "/deep/er/temp", "temp": true}, meta{"op": "mkdir", "path": r.dir + "/kept"},
			meta{"op": "mkdir", "path": r.dir + "/made"})
		// One that was there is not ours to remove.
		if _, res := r.files("", meta{"op": "mkdir", "path": r.dir + "/made", "temp": true, "parents": true}); res.Status != wire.StatusOK {
			t.Errorf("%+v", res)
		}
		r.shell("cd " + d + "; mkdir -p one/a/b; echo >one/a/b/f; ln -s /etc one/etc; chmod 0 one/a/b; echo >" + r.dir + "/made/file")
		r.files("", meta{"op": "remove", "path": d + "/two", "recursive": true}, meta{"op": "mkdir", "path": r.dir + "/two"}, meta{"op": "rename", "path": r.dir + "/two", "dest": r.dir + "/second"})
		r.end()
		entries, _ := os.ReadDir(r.local)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if diff := cmp.Diff([]string{"kept", "made", "second"}, names); diff != "" {
			t.Errorf("what is left (-want +got):\n%s", diff)
		}
		if _, err := os.Stat(filepath.Join(r.local, "made/file")); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join("/", tg.root, "etc/passwd")); err != nil {
			t.Fatalf("a link was followed: %v", err)
		}
	})
}

// An agent that has made the directory of all temporary ones removes it when it ends, and another one of the account makes it anew where it is wanted.
func TestARemovedTemporaryDirectoryIsMadeAnew(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		first := boot(t, tg)
		base := first.dir + "/base/tmp"
		second := boot(t, tg, func(o *Options) { o.TmpCandidates = []string{base} })
		first.end()
		local := filepath.Join("/", tg.root, base)
		if _, err := os.Stat(local); !os.IsNotExist(err) {
			t.Fatalf("it is there still: %v", err)
		}
		cl := second.of(controllers[0], controllers[2]).modules(t)["ping"].with("looks_for_tmp",
			"import json, os, sys\nprint(json.dumps({'there': os.path.isdir("+strconv.Quote(base)+")}))\nsys.exit(0)\n")
		if _, got := second.module(cl, false, nil); got["there"] != true {
			t.Errorf("a module finds no directory: %v", got)
		}
		second.end()
		if _, err := os.Stat(filepath.Dir(local)); !os.IsNotExist(err) {
			t.Errorf("it was left: %v", err)
		}
	})
}

// Who has made the directory of all temporary ones waits a moment for other agents of the account, which end with the same run.
func TestSharedTemporaryDirectoriesGo(t *testing.T) {
	each(t, func(t *testing.T, tg target) {
		first := boot(t, tg)
		base := first.dir + "/base/tmp"
		second := boot(t, tg, func(o *Options) { o.TmpCandidates = []string{base} })
		second.files("", meta{"op": "mkdir", "path": base + "/ansible_mitogen_action_1", "temp": true})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			first.end()
		}()
		time.Sleep(200 * time.Millisecond)
		second.end()
		<-ended
		if _, err := os.Stat(filepath.Join(first.local, "base")); !os.IsNotExist(err) {
			t.Errorf("it is left: %v", err)
		}
	})
}
