package sudo

import (
	"fmt"
	"slices"
	"strings"
)

// option is one of sudo's. Those that are not here have no meaning for a program that is to be talked to (-e, -l,
// -b, …), and are refused.
type option struct {
	short byte // 0: none
	long  string
	value bool // takes a value
	// set notes it; nil drops it, because the conversation on a terminal takes its place.
	set func(s *settings, value string)
}

// table is in alphabetical order of the long names.
var table = []option{
	{'B', "bell", false, func(s *settings, _ string) { s.more = append(s.more, "-B") }},
	{'D', "chdir", true, func(s *settings, v string) { s.more = append(s.more, "-D", v) }},
	{'R', "chroot", true, func(s *settings, v string) { s.more = append(s.more, "-R", v) }},
	{'C', "close-from", true, func(s *settings, v string) { s.more = append(s.more, "-C", v) }},
	{'T', "command-timeout", true, func(s *settings, v string) { s.more = append(s.more, "-T", v) }},
	{'g', "group", true, func(s *settings, v string) { s.more = append(s.more, "-g", v) }},
	{'i', "login", false, func(s *settings, _ string) { s.login = true }},
	{'N', "no-update", false, func(s *settings, _ string) { s.more = append(s.more, "-N") }},
	{'n', "non-interactive", false, nil},
	{'E', "preserve-env", false, func(s *settings, _ string) { s.preserveEnv = true }},
	{'P', "preserve-groups", false, func(s *settings, _ string) { s.more = append(s.more, "-P") }},
	{'p', "prompt", true, nil},
	{'k', "reset-timestamp", false, func(s *settings, _ string) { s.more = append(s.more, "-k") }},
	{'r', "role", true, func(s *settings, v string) { s.role = v }},
	{'H', "set-home", false, func(s *settings, _ string) { s.setHome = true }},
	{'S', "stdin", false, nil},
	{'t', "type", true, func(s *settings, v string) { s.selinuxType = v }},
	{'u', "user", true, func(s *settings, v string) { s.user = v }},
}

// parse reads become_flags with sudo's grammar: short options joined or apart, values attached or behind, long names
// as short as they are clear.
func (s *settings) parse(args []string) error {
	var stray []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		next := func() (string, bool) {
			if i+1 >= len(args) {
				return "", false
			}
			i++
			return args[i], true
		}
		var err error
		switch {
		case arg == "--":
			stray = append(stray, args[i+1:]...)
			i = len(args)
		case strings.HasPrefix(arg, "--"):
			err = s.long(arg, next)
		case strings.HasPrefix(arg, "-") && arg != "-":
			err = s.short(arg, next)
		default:
			stray = append(stray, arg)
		}
		if err != nil {
			return err
		}
	}
	if stray != nil {
		return fmt.Errorf("unsupported sudo arguments:%s", list(stray))
	}
	return nil
}

func (s *settings) long(arg string, next func() (string, bool)) error {
	name, value, attached := strings.Cut(arg[2:], "=")
	if name == "preserve-env" && attached {
		s.more = append(s.more, arg) // a list of names: another option than the bare one
		return nil
	}
	var found []option
	for _, o := range table {
		if o.long == name {
			found = []option{o}
			break
		}
		if name != "" && strings.HasPrefix(o.long, name) {
			found = append(found, o)
		}
	}
	switch {
	case len(found) == 0:
		return fmt.Errorf("sudo: no such option: --%s", name)
	case len(found) > 1:
		var names []string
		for _, o := range found {
			names = append(names, "--"+o.long)
		}
		return fmt.Errorf("sudo: ambiguous option: --%s (%s?)", name, strings.Join(names, ", "))
	}
	o := found[0]
	switch {
	case o.value && !attached:
		var ok bool
		if value, ok = next(); !ok {
			return fmt.Errorf("sudo: --%s option requires 1 argument", o.long)
		}
	case !o.value && attached:
		return fmt.Errorf("sudo: --%s option does not take a value", o.long)
	}
	s.take(o, value)
	return nil
}

func (s *settings) short(arg string, next func() (string, bool)) error {
	for letters := arg[1:]; letters != ""; {
		letter := letters[0]
		letters = letters[1:]
		i := slices.IndexFunc(table, func(o option) bool { return o.short == letter })
		if i < 0 {
			return fmt.Errorf("sudo: no such option: -%c", letter)
		}
		o, value := table[i], ""
		if o.value {
			value, letters = letters, ""
			if value == "" {
				var ok bool
				if value, ok = next(); !ok {
					return fmt.Errorf("sudo: -%c option requires 1 argument", letter)
				}
			}
		}
		s.take(o, value)
	}
	return nil
}

func (s *settings) take(o option, value string) {
	if o.set != nil {
		o.set(s, value)
	}
}

// list writes words as Python writes a list of them, which is how users know this error.
func list(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		q := "'"
		if strings.Contains(w, "'") && !strings.Contains(w, `"`) {
			q = `"`
		}
		w = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`).Replace(w)
		if q == "'" {
			w = strings.ReplaceAll(w, "'", `\'`)
		}
		quoted[i] = q + w + q
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
