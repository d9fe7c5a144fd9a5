package setns

import "testing"

func TestPID(t *testing.T) {
	const stopped = "could not find PID from docker output. The container is not running."
	for _, tt := range []struct{ name, kind, answer, pid, problem string }{
		{"docker", "docker", "4711\n", "4711", ""},
		{"docker, stopped", "docker", "0\n", "", stopped},
		{"docker, nothing", "docker", "", "", "could not find PID from docker output."},
		{"docker, two of a name", "docker", "4711\n4712\n", "", "could not find PID from docker output."},
		{"docker, no number", "docker", "<no value>\n", "", "could not find PID from docker output."},
		{"docker, hostile", "docker", "../self\n", "", "could not find PID from docker output."},
		{"podman", "podman", "4711\n", "4711", ""},
		{"podman, nothing", "podman", "\n", "", "could not find PID from podman output."},
		{
			"lxc-info", "lxc", "Name:           c1\nState:          RUNNING\nPID:            4711\nIP:             10.0.3.2\nCPU use:        0.01 seconds\n",
			"4711", "",
		},
		{"lxc-info, stopped", "lxc", "Name:           c1\nState:          STOPPED\n", "", "could not find PID from lxc-info output."},
		{"lxd", "lxd", "Name: c1\nStatus: RUNNING\nType: container\nArchitecture: x86_64\nPID: 4711\nCreated: 2026/01/01 10:00 UTC\n\nResources:\n  Processes: 12\n", "4711", ""},
		{"lxd 3", "lxd", "Name: c1\nRemote: unix://\nStatus: Running\nPid: 4711\nIps:\n  eth0: inet 10.0.0.2\nProcesses: 12\n", "4711", ""},
		{"lxd, stopped", "lxd", "Name: c1\nStatus: STOPPED\nType: container\n", "", "could not find PID from lxc output."},
		{"incus", "incus", "Name: c1\nDescription: \nStatus: RUNNING\nType: container\nPID: 4711\nResources:\n  Processes: 3\n", "4711", ""},
		{"incus, stopped", "incus", "Name: c1\nStatus: STOPPED\n", "", "could not find PID from incus output."},
		{"machinectl", "machinectl", "m1(5b3c)\n           Since: Mon 2026-01-05 10:00:00 UTC; 3s ago\n          Leader: 4711 (systemd)\n         Service: systemd-nspawn; class container\n            Root: /var/lib/machines/m1\n", "4711", ""},
		{"machinectl, leader without a name", "machinectl", "\tLeader: 4711\n", "4711", ""},
		{"machinectl, nothing", "machinectl", "m1\n   Since: now\n", "", "could not find PID from machinectl output."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pid, problem := kinds[tt.kind].pid(tt.answer)
			if pid != tt.pid || problem != tt.problem {
				t.Errorf("pid %q, problem %q, want %q, %q", pid, problem, tt.pid, tt.problem)
			}
		})
	}
}
