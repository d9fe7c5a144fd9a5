package setns

import (
	"regexp"
	"strings"
)

// kind is a sort of container, and how its first process is found.
type kind struct {
	// tool is the program, and how the texts call it; path is the key of its setting.
	tool, path string
	// args ask for the container whose name follows.
	args []string
	// leader finds the PID in what the tool prints.
	leader *regexp.Regexp
}

var (
	onlyNumber = regexp.MustCompile(`(?m)\A\s*(\d+)\s*\z`)
	lxcPID     = regexp.MustCompile(`(?mi)^\s*PID:\s+(\d+)\s*$`)
	leaderLine = regexp.MustCompile(`(?m)^\s*Leader:\s+(\d+)(\s|$)`)
)

var kinds = map[string]kind{
	"docker":     {"docker", "docker_path", []string{"inspect", "--format={{.State.Pid}}"}, onlyNumber},
	"podman":     {"podman", "podman_path", []string{"inspect", "--format={{.State.Pid}}"}, onlyNumber},
	"lxc":        {"lxc-info", "lxc_info_path", []string{"-n"}, lxcPID},
	"lxd":        {"lxc", "lxc_path", []string{"info"}, lxcPID},
	"incus":      {"incus", "incus_path", []string{"info"}, lxcPID},
	"machinectl": {"machinectl", "machinectl_path", []string{"status"}, leaderLine},
}

// pid returns the container's first process, or the error's text. Nothing in a tool's answer but digits gets any further.
func (k kind) pid(answer string) (pid, problem string) {
	m := k.leader.FindStringSubmatch(answer)
	switch {
	case m == nil:
		return "", "could not find PID from " + k.tool + " output."
	case strings.Trim(m[1], "0") == "":
		return "", "could not find PID from " + k.tool + " output. The container is not running."
	}
	return m[1], ""
}
