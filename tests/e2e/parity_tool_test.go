//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spindle/tests/env"
	"spindle/tests/parity"
)

// TestPlaybook is the tool behind make parity: it runs a playbook, of any place, under stock strategies and under ours, and says
// how they differ. PARITY_PLAYBOOK names it, PARITY_VERSION a version of ansible-core (or all), PARITY_STRATEGY a strategy of ours (or all),
// PARITY_PYTHON the Python of web2 (or all), PARITY_INVENTORY an inventory, PARITY_ARGS has more arguments, and SPINDLE_PARITY_WAY is the way into ours.
func TestPlaybook(t *testing.T) {
	path := os.Getenv("PARITY_PLAYBOOK")
	if path == "" {
		t.Skip("this is a tool: make parity PLAYBOOK=...")
	}
	book, err := parity.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	book.Args = append(book.Args, strings.Fields(os.Getenv("PARITY_ARGS"))...)
	if strategy := strings.TrimPrefix(os.Getenv("PARITY_STRATEGY"), "mitogen_"); strategy == "all" {
		book.Strategies = []string{"linear", "free", "host_pinned"}
	} else if strategy != "" {
		book.Strategies = []string{strategy}
	}
	version, python := os.Getenv("PARITY_VERSION"), os.Getenv("PARITY_PYTHON")
	if version == "" {
		version = env.Versions[len(env.Versions)-1].Name
	}
	ran := false
	for _, pair := range env.Pairs() {
		own := pair.Python == pair.Version.Python()
		if (version != "all" && version != pair.Version.Name) || (python != "all" && python != pair.Python.Name && (python != "" || !own)) {
			continue
		}
		for _, strategy := range book.Strategies {
			ran = true
			comparePlaybook(t, pair, strategy, book)
		}
	}
	if !ran {
		t.Fatalf("there is no version %s, or it does not support Python %s", version, python)
	}
}

func comparePlaybook(t *testing.T, pair env.Pair, strategy string, book parity.Playbook) {
	t.Helper()
	r := batchRun{
		name: book.Name, strategy: strategy, settings: book, beside: filepath.Dir(book.Path),
		playbook: "outside/" + filepath.Base(book.Path),
	}
	if file := os.Getenv("PARITY_INVENTORY"); file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r.list = string(b)
	}
	want, got := r.perform(t, pair, stock), r.perform(t, pair, askedWay(t, byName))
	files := 0
	for _, f := range got.Files {
		files += len(f)
	}
	fmt.Printf("ansible-core %s, Python %s, %s: stock took %v, ours %v, exit code %d\n", pair.Version.Name, pair.Python.Name, strategy, want.Run.Took.Round(time.Second/10), got.Run.Took.Round(time.Second/10), want.Run.Code)
	if d := compare(t, want, got); d.Len() > 0 {
		fmt.Printf("%d differences (- stock, + ours):\n%s", d.Len(), d.String())
		t.Fail()
		return
	}
	fmt.Printf("same: %s, %d files\n", parity.Counts(want.records), files)
	if want.Run.Code != 0 {
		fmt.Print(failures(want))
	}
}

// TestMakeParity runs make parity itself, on a playbook of another place: what is the same, and what an option makes differ for certain.
func TestMakeParity(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"site.yml": "- hosts: web\n  gather_facts: false\n  tasks:\n    - import_tasks: beside.yml\n",
		"beside.yml": "- copy: {content: same, dest: /tmp/same}\n" +
			"- debug: {msg: \"{{ prefix }}linear\"}\n  when: tell | default(false) | bool\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		args string
		same bool
		says string
	}{
		{"", true, "\nsame: 4 results of 2 tasks on 2 hosts, "},
		{"-e tell=true", false, `msg: "mitogen_linear", want "linear"`},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute*env.Patience())
		cmd := exec.CommandContext(ctx, "make", "-C", "../..", "parity", "PLAYBOOK="+filepath.Join(dir, "site.yml"), "ARGS="+tc.args, "VERSION=", "WITH=", "STRATEGY=", "INVENTORY=")
		if roots := os.Getenv("SPINDLE_TEST_ROOTS"); roots != "" {
			cmd.Args = append(cmd.Args, "ROOTS="+roots)
		}
		cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=")
		out, err := cmd.CombinedOutput()
		cancel()
		if (err == nil) != tc.same || !strings.Contains(string(out), tc.says) {
			t.Errorf("make parity ARGS=%q: %v, want %q:\n%s", tc.args, err, tc.says, out)
		}
	}
}
