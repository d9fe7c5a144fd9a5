//go:build e2e

package e2e

import (
	"fmt"
	"os"
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
	if d := compare(want, got); d.Len() > 0 {
		fmt.Printf("%d differences (- stock, + ours):\n%s", d.Len(), d.String())
		t.Fail()
		return
	}
	fmt.Printf("same: %s, %d files\n", parity.Counts(want.records), files)
	if want.Run.Code != 0 {
		fmt.Print(failures(want))
	}
}
