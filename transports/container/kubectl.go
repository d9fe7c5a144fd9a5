package container

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"

	"spindle/transports"
)

// Kubectl is the method "kubectl". -t is there because it always has been; kubectl drops it when its stdin is a pipe, and
// says so on stderr. Which container of the pod, which namespace, cluster and account, is in kubectl_args. A password or
// token among those comes into nobody's argv, see kubectlLogin; neither does kubeconfig, a whole configuration that was
// written out where the name of its file could stand.
func Kubectl(kwargs json.RawMessage) (transports.Dialer, error) {
	s := Read("kubectl", kwargs)
	d := dialer{container: s.Needed("pod"), env: s.Env("env")}
	front, args := []string{s.Path("kubectl_path", "kubectl")}, s.Words("kubectl_args")
	var written map[string]json.RawMessage
	s.value("kubeconfig", &written)
	login, rest := takeLogin(args)
	if login.secret() || written != nil {
		own := login.kubeconfig
		switch {
		case written != nil && own != "":
			s.fail("kubeconfig is written out, and --kubeconfig names a file")
		case written != nil:
			own = os.DevNull // no other file counts
		case strings.Contains(own, ":"):
			s.fail("--kubeconfig %q has a colon in it, and cannot be combined with a password or token", own)
		}
		front, args = slices.Concat([]string{"/bin/sh", "-c", kubectlLogin, "sh", own}, front), rest
		if !login.secret() && login.Username != "" {
			args = append(args, "--username="+login.Username)
		}
		lead, err := login.fragment(written)
		if err != nil {
			s.fail("kubeconfig: %w", err)
		}
		d.lead = transports.NewSecret(lead)
	}
	if login.secret() {
		args = append(args, "--user="+loginName)
		for _, word := range []string{login.Token, login.Password} {
			if word != "" {
				d.hidden = append(d.hidden, hidden{word, "***"})
			}
		}
	}
	d.argv = slices.Concat(front, args, []string{"exec", "-it", d.container, "--"})
	return s.made(d)
}

// login is what kubectl's arguments say of the account, by the names that it has in kubeconfig files (Kubernetes'
// reference of kubeconfig v1, AuthInfo).
type login struct {
	Token      string `json:"token,omitempty"`
	Username   string `json:"username,omitempty"`
	Password   string `json:"password,omitempty"`
	kubeconfig string
}

func (l *login) secret() bool { return l.Token != "" || l.Password != "" }

// takeLogin separates the account from the rest of kubectl's arguments. Of an option that is given twice the last one
// counts, as with kubectl.
func takeLogin(args []string) (l login, rest []string) {
	places := map[string]*string{"--token": &l.Token, "--username": &l.Username, "--password": &l.Password, "--kubeconfig": &l.kubeconfig}
	for i := 0; i < len(args); i++ {
		name, value, attached := strings.Cut(args[i], "=")
		place := places[name]
		switch {
		case place == nil, !attached && i+1 == len(args):
			rest = append(rest, args[i])
			continue
		case !attached:
			i++
			value = args[i]
		}
		*place = value
	}
	return l, rest
}

// loginName is what the account is called in the fragment.
const loginName = "spindle"

// fragment is a kubeconfig file in one line: the one that is given, or an empty one, with the account. What YAML does not
// allow as it is, is escaped.
func (l *login) fragment(given map[string]json.RawMessage) (string, error) {
	type user struct {
		Name string `json:"name"`
		User *login `json:"user"`
	}
	file := map[string]any{"apiVersion": "v1", "kind": "Config"}
	for key, value := range given {
		file[key] = value
	}
	if l.secret() {
		var users []any
		if raw := given["users"]; raw != nil {
			if err := json.Unmarshal(raw, &users); err != nil {
				return "", errors.New("users is no list")
			}
		}
		file["users"] = append(users, user{loginName, l})
	}
	b, err := json.Marshal(file)
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(string(b), "\x7f", `\u007f`), nil
}

// kubectlLogin stands in front of kubectl where there is a password or token, which kubectl knows only as arguments or from
// files. It reads a fragment of kubeconfig from stdin, up to the end of the line and no byte more, and puts it into a file
// that has lost its name before anything is in it; kubectl finds it by its number, as often as it likes. Where that cannot
// be (only Linux opens a file anew by its number) the file has a name, is readable for its owner alone, and goes when
// kubectl ends. The user's own files follow: $1, or what KUBECONFIG says. The text goes through the shell's own variables
// and a here-document, so it is in no argv and no environment; hence the unset, since the shell would export a variable
// that was exported before.
const kubectlLogin = `unset c t
IFS= read -r c||exit 1
if [ -n "$1" ]&&[ ! -e "$1" ];then echo "error: stat $1: no such file or directory" >&2;exit 1;fi
k=${1:-${KUBECONFIG:-$HOME/.kube/config}};shift
d=/dev/shm;[ -w $d ]||d=${TMPDIR:-/tmp}
name() { (umask 077;exec mktemp "$d/spindle.XXXXXXXXXX") }
put() {
cat <<E
$c
E
}
f=$(name)&&exec 3<>"$f"&&rm -f "$f"&&put >&3||exit 1
if { read -r t </dev/fd/3&&read -r t </dev/fd/3; } 2>/dev/null;then
KUBECONFIG=/dev/fd/3:$k;export KUBECONFIG
exec "$@" 3<&3
fi
exec 3>&-
f=$(name)||exit 1
trap 'rm -f "$f"' EXIT
trap 'exit 1' HUP INT TERM
put >"$f"
KUBECONFIG=$f:$k;export KUBECONFIG
"$@"`
