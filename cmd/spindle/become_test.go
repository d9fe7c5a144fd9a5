package main

import (
	"strings"
	"testing"

	"spindle/transports/become/becometest"
)

// A program that only a shell understands, as hops.py makes it of become_exe: its words come whole, and it asks as ever.
func TestProgramsOfAShell(t *testing.T) {
	m := startServe(t)
	for method, does := range map[string]string{"sudo": asSudo, "doas": asSudo, "su": asSu} {
		end := map[string]string{"su": runSu}[method]
		if end == "" {
			end = runIt
		}
		asks := map[string]string{"sudo": "mitogen-sudo-prompt:"}[method]
		if asks == "" {
			asks = "Password:"
		}
		program := becometest.Executable(t, talk+does+`[ "$PWD $WORD" = "/usr a b" ] || exit 3; ask `+asks+`; [ "$answer" = sesame ] || exit 1`+end)
		w := m.worker(t)
		hop := hopBy(method, settingsOf{"password": "sesame", "exe": []string{"/bin/sh", "-c", `cd /usr && WORD="a b" ` + program + ` "$@"`, "sh"}})
		context, text := w.connect(hopBy("local", nil), hop)
		if text != "" {
			t.Errorf("%s: %s", method, text)
			continue
		}
		if r, out := w.call("exec", context, settingsOf{"argv": []string{"pwd"}}); string(out) != "/usr\n" {
			t.Errorf("%s: %q, %+v", method, out, r)
		}
		if _, text = w.connect(hopBy("local", nil), hopBy(method, settingsOf{"exe": []string{"/bin/sh", "-c", `~/no-such-program "$@"`, "sh"}})); !strings.Contains(text, "/no-such-program: not found") {
			t.Errorf("%s: %q", method, text)
		}
	}
}

// sudo_chdir: where sudo is started, an account's tasks are too.
func TestSudoElsewhere(t *testing.T) {
	m := startServe(t)
	program := becometest.Executable(t, talk+asSudo+runIt)
	for dir, want := range map[string]string{
		"/usr": "", "": "",
		"/nonexistent": "chdir /nonexistent: No such file or directory", "/etc/passwd": "chdir /etc/passwd: Not a directory",
	} {
		w := m.worker(t)
		context, text := w.connect(hopBy("local", nil), hopBy("sudo", settingsOf{"sudo_path": program, "chdir": dir}))
		if want != "" {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q, want %q", dir, text, want)
			}
			continue
		}
		if text != "" {
			t.Errorf("%s: %s", dir, text)
			continue
		}
		if r, out := w.call("exec", context, settingsOf{"argv": []string{"pwd"}}); (string(out) == "/usr\n") != (dir == "/usr") {
			t.Errorf("%q: %q, %+v", dir, out, r)
		}
	}
}
