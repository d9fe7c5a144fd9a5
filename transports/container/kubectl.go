package container

import (
	"encoding/json"
	"slices"
	"strings"

	"spindle/transports"
)

// Kubectl is the method "kubectl". -t is there because it always has been; kubectl drops it when its stdin is a pipe, and
// says so on stderr. Which container of the pod, which namespace, cluster and account, is in kubectl_args.
func Kubectl(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("kubectl", kwargs)
	pod, args := s.Needed("pod"), s.Words("kubectl_args")
	argv := slices.Concat([]string{s.Path("kubectl_path", "kubectl")}, args, []string{"exec", "-it", pod, "--"})
	return s.made(dialer{container: pod, argv: argv, env: s.Env("env"), hidden: credentials(args)})
}

// credentials are those among kubectl's arguments.
func credentials(args []string) (found []string) {
	for i, arg := range args {
		name, value, attached := strings.Cut(arg, "=")
		if name != "--token" && name != "--password" {
			continue
		}
		if !attached && i+1 < len(args) {
			value = args[i+1]
		}
		if value != "" {
			found = append(found, value)
		}
	}
	return found
}
