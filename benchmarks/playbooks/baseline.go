package playbooks

import (
	"fmt"
	"strings"
)

// BaselineTasks is how many results the baseline play gives for a host that it changes for the first time, its facts included.
const BaselineTasks = 246

// Baseline returns a play in the shape of what people run on every machine first: accounts, packages, settings, jobs, templates and
// checks of one role after another, with many different modules and few loops. It changes the machine, so it is for one that is thrown away.
func Baseline() string {
	b := &baseline{}
	b.text.WriteString("- name: Common baseline\n  hosts: nodes\n  gather_facts: true\n  become: true\n  vars:\n    top: /etc/baseline\n  tasks:\n")
	b.task("Make the directory of settings", "file", "path: /etc/baseline", "state: directory", `mode: "0755"`)
	for i := 1; b.tasks < BaselineTasks-1; i++ {
		b.role(i)
	}
	return b.text.String()
}

// baseline is a play being written.
type baseline struct {
	text  strings.Builder
	tasks int
}

// task writes one task, unless there are enough. Lines that begin with "+" belong to the task itself, the others are arguments of the module.
func (b *baseline) task(name, module string, lines ...string) {
	if b.tasks == BaselineTasks-1 {
		return
	}
	b.tasks++
	fmt.Fprintf(&b.text, "    - name: %q\n      ansible.builtin.%s:\n", name, module)
	for _, line := range lines {
		if rest, own := strings.CutPrefix(line, "+"); !own {
			fmt.Fprintf(&b.text, "        %s\n", line)
		} else {
			defer fmt.Fprintf(&b.text, "      %s\n", rest)
		}
	}
}

// role writes what one role does.
func (b *baseline) role(n int) {
	name := fmt.Sprintf("role%02d", n)
	named := func(format string) string { return fmt.Sprintf(format, name) }
	b.task(named("%s: look what there is"), "stat", named("path: /etc/baseline/%s"), named("+register: %s_before"))
	b.task(named("%s: decide"), "set_fact", named(`%s_new: "{{ not `)+named("%s_before.stat.exists }}\""))
	b.task(named("%s: group"), "group", named("name: %s"), fmt.Sprintf("gid: %d", 7000+n))
	b.task(named("%s: account"), "user", named("name: %s"), fmt.Sprintf("uid: %d", 7000+n), named("group: %s"), "shell: /usr/sbin/nologin",
		"create_home: false", "home: /nonexistent")
	b.task(named("%s: packages are installed"), "apt", "name: [sudo, procps, cron]", "state: present")
	b.task(named("%s: directory"), "file", named("path: /etc/baseline/%s"), "state: directory", `mode: "0750"`, named("group: %s"))
	b.task(named("%s: configuration"), "template", "src: baseline.conf.j2", named("dest: /etc/baseline/%s/main.conf"), `mode: "0640"`,
		named("+vars: {role: %s}"))
	b.task(named("%s: what it may do"), "copy", named("content: \"%s ALL=(root) NOPASSWD: /bin/true\\n\""), named("dest: /etc/sudoers.d/%s"),
		`mode: "0440"`, `validate: "/usr/sbin/visudo -cf %s"`)
	b.task(named("%s: kernel setting"), "lineinfile", named("path: /etc/sysctl.d/%s.conf"), "line: net.ipv4.tcp_syncookies = 1", "create: true", `mode: "0644"`)
	b.task(named("%s: limits"), "blockinfile", named("path: /etc/baseline/%s/main.conf"), named("marker: '# {mark} limits of %s'"),
		"block: |", "  files = 1024", "  processes = 64")
	b.task(named("%s: log level"), "replace", named("path: /etc/baseline/%s/main.conf"), "regexp: '^loglevel = .*$'", "replace: 'loglevel = notice'")
	b.task(named("%s: job"), "cron", named("name: %s"), `minute: "5"`, `hour: "4"`, "job: /bin/true", named("cron_file: %s"), "user: root")
	b.task(named("%s: service file"), "copy", "src: baseline.service", named("dest: /etc/systemd/system/%s.service"), `mode: "0644"`)
	b.task(named("%s: link"), "file", named("src: /etc/baseline/%s/main.conf"), named("dest: /etc/baseline/%s.conf"), "state: link")
	b.task(named("%s: answer for debconf"), "debconf", "name: tzdata", "question: tzdata/Areas", "value: Etc", "vtype: select")
	b.task(named("%s: account is known"), "getent", "database: passwd", named("key: %s"))
	b.task(named("%s: what runs"), "command", "cmd: ps -e -o pid=", "+changed_when: false", named("+register: %s_processes"))
	b.task(named("%s: how it looks"), "shell", named("cmd: ls -1 /etc/baseline/%s | wc -l"), "+changed_when: false", named("+register: %s_files"))
	b.task(named("%s: read it back"), "slurp", named("src: /etc/baseline/%s/main.conf"), named("+register: %s_main"))
	b.task(named("%s: check"), "assert", "that:", named("  - %s_files.stdout | int == 1"), named("  - \"'loglevel = notice' in (%s_main.content | b64decode)\""),
		"quiet: true")
}
