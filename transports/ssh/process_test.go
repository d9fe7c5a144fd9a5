package ssh

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// descendants are the processes below pid.
func descendants(pid int) []int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	var all []int
	for _, word := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(word); err == nil {
			all = append(append(all, child), descendants(child)...)
		}
	}
	return all
}

func kill(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) }
