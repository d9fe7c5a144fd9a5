package bootstrap

import (
	"strings"
	"testing"
)

// What a module has written to files that its own names lead to is in them, however it ends.
func TestFilesOfModulesAreWritten(t *testing.T) {
	everyPair(t, func(t *testing.T, r *remote, modules map[string]closure, c controller) {
		for how, end := range map[string]string{
			"sys.exit":  "sys.exit(0)",
			"exit_json": "AnsibleModule({}).exit_json()",
			"raise":     "raise ValueError('on purpose')",
			"interrupt": "raise KeyboardInterrupt()",
		} {
			dir := r.dir + "/" + how
			r.shell("mkdir " + dir)
			cl := modules["ping"].with("files", `
import gzip, io, os, sys, tempfile
from ansible.module_utils.basic import AnsibleModule
os.chdir(`+"'"+dir+"'"+`)
log = open('global', 'w')
binary = io.open('binary', 'wb')
packed = gzip.open('packed', 'wb')
listed = ['x', io.open('listed', 'wb')]
named = {1: io.open('named', 'wb')}

class Logger(object):
    def __init__(self, name):
        self.log = io.open(name, 'wb')

    def __getattr__(self, name):
        raise AttributeError(name)

logger = Logger('logger')
out = sys.stdout

def main():
    log.write('text')
    inner = gzip.open('inner', 'wb')
    inner.write(b'text')
    for one in (binary, packed, listed[1], named[1], logger.log):
        one.write(b'text')
    `+end+`

if __name__ == '__main__':
    main()
`)
			r.module(cl, false, nil)
			if got := r.shell("cd " + dir + "; cat global binary listed named logger; gzip -dc <packed; gzip -dc <inner"); got != strings.Repeat("text", 7) {
				t.Errorf("%s: %q", how, got)
			}
		}
	})
}
