package tree

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"spindle/bootstrap"
	"spindle/transports"
	"spindle/transports/local"
	"spindle/transports/wire"
)

// uplink counts what is written to the programs that are started through it.
type uplink struct {
	local.Spawner
	bytes atomic.Int64
}

type countedLink struct {
	transports.Link
	up *uplink
}

func (l countedLink) Write(b []byte) (int, error) {
	l.up.bytes.Add(int64(len(b)))
	return l.Link.Write(b)
}

func (u *uplink) Spawn(ctx context.Context, c transports.Command) (transports.Link, error) {
	l, err := u.Spawner.Spawn(ctx, c)
	if err != nil {
		return nil, err
	}
	return countedLink{l, u}, nil
}

// realProgram boots the real agent.
func realProgram(b Boot) transports.Program {
	o := bootstrap.Options{
		Candidates: []string{"/usr/bin/python3", "python3"}, Nonce: fmt.Sprintf("n%x", rand.Uint64()), Title: b.Title, Silence: b.Silence,
	}
	return transports.Program{
		Argv: bootstrap.Argv(o), Flight: bootstrap.Flight(o), Nonce: o.Nonce, Candidates: o.Candidates,
		Agent: wire.Blob{Digest: bootstrap.AgentDigest(), Size: bootstrap.PackedSize()},
	}
}

// realTree is a tree whose hops are real agents on this machine.
func realTree(t *testing.T, b *bench, up transports.Spawner) *actor.PID {
	t.Helper()
	root, err := b.sys.SpawnRoot(Spec(&Config{Logger: zap.NewNop(), Program: realProgram, Local: up, Blobs: b.service, Transfers: b.service}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // by way of BYE, so that the agents have the time to clean up
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		b.sys.Send(b.client, &watch{root})
		b.sys.Send(root, &Drain{Reason: "test"})
		for {
			select {
			case m := <-b.mail:
				if gone, ok := m.(*actor.Terminated); ok && gone.Who.Equal(root) {
					return
				}
			case <-ctx.Done():
				t.Error("the tree did not end")
				return
			}
		}
	})
	return root
}

func localDialer(t *testing.T, kwargs string) transports.Dialer {
	t.Helper()
	d, err := local.Factory(json.RawMessage(kwargs))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// stranger is a dialer whose agent says that it is another than it is.
type stranger struct{ transports.Dialer }

func (s stranger) Dial(ctx context.Context, via transports.Spawner, p transports.Program) (*transports.Booted, error) {
	b, err := s.Dialer.Dial(ctx, via, p)
	if err == nil {
		other := wire.Sum([]byte("another agent")).String()
		b.Hello.Body = []byte(strings.Replace(string(b.Hello.Body), bootstrap.AgentDigest().String(), other, 1))
		if !strings.Contains(string(b.Hello.Body), other) {
			return nil, fmt.Errorf("no digest in %s", b.Hello.Body)
		}
	}
	return b, err
}

// ballastSize is that of the module code that everybody needs: far more than everything else together.
const ballastSize = 400 << 10

// probeModule is a module with much code, in so many files, as a closure. It is another one for another word.
func probeModule(pieces int, word string) (closure wire.Digest, blobs []*Blob) {
	random := rand.New(rand.NewSource(1)) // the same code each time
	hex := make([]byte, ballastSize)
	for i := range hex {
		hex[i] = "0123456789abcdef"[random.Intn(16)]
	}
	files := map[string]string{
		"ansible/__init__.py": "", "ansible/modules/__init__.py": "", "ansible/module_utils/__init__.py": "",
		"ansible/module_utils/basic.py": "_ANSIBLE_ARGS = None\n",
		"ansible/modules/probe.py": "# " + word + "\nimport os, sys\nfrom ansible.module_utils import basic\nlength = 0\n" +
			fmt.Sprintf("for i in range(%d):\n    length += len(__import__('ansible.module_utils.ballast%%d' %% i, fromlist=['x']).DATA)\n", pieces) +
			"sys.stdout.write('%s %d %d' % (basic._ANSIBLE_ARGS.decode(), length, os.getppid()))\nsys.exit(0)\n",
	}
	for i := range pieces {
		part := ballastSize / pieces
		files[fmt.Sprintf("ansible/module_utils/ballast%d.py", i)] = "DATA = '" + string(hex[i*part:(i+1)*part]) + "'\n"
	}
	add := func(content string) wire.Digest {
		d := wire.Sum([]byte(content))
		if !slices.ContainsFunc(blobs, func(b *Blob) bool { return b.Digest == d }) {
			blobs = append(blobs, &Blob{Digest: d, Size: len(content), Content: []byte(content)})
		}
		return d
	}
	names := map[string]wire.Digest{}
	for path, content := range files {
		names[path] = add(content)
	}
	manifest, _ := json.Marshal(map[string]any{"files": names, "zip": false})
	return add(string(manifest)), blobs
}

// runProbe runs the module and returns the process that it was forked from.
func runProbe(b *bench, key uint32, interp *actor.PID, closure wire.Digest) {
	meta, _ := json.Marshal(map[string]any{"fqn": "ansible.modules.probe", "manifest": closure.String()})
	b.say(interp, &Invoke{
		Key: key, Call: wire.Call{Op: "module", HasClosure: true, Closure: closure, MetaLen: len(meta)}, Body: append(meta, fmt.Sprintf("args%d", key)...),
	})
}

// What ten accounts below one login need crosses the network once: the agent, and a module's code. So it is for those
// below one of them.
func TestHopsBehindAnAgentAreServedFromThere(t *testing.T) {
	const siblings = 10
	itself := func(d transports.Dialer) transports.Dialer { return d }
	for name, c := range map[string]struct {
		wrap   func(transports.Dialer) transports.Dialer
		pieces int
	}{
		"the same agent":                    {itself, 1},
		"an agent that knows no other code": {func(d transports.Dialer) transports.Dialer { return stranger{d} }, 1},
		"code in many files":                {itself, 20},
	} {
		t.Run(name, func(t *testing.T) {
			wrap, pieces := c.wrap, c.pieces
			b := newBench(t, Heartbeat{})
			module, blobs := probeModule(pieces, "first")
			b.blobs[module] = blobs
			up := &uplink{}
			root := realTree(t, b, up)
			b.say(root, &OpenHop{Hop: &Hop{Key: "login", Dialer: wrap(localDialer(t, `{}`))}, Report: b.client})
			login := expect[*HopReady](b)
			booted := up.bytes.Load()

			for i := range siblings {
				b.say(login.Interpreter, &OpenHop{Hop: &Hop{Key: fmt.Sprint(i), Dialer: localDialer(t, `{}`)}, Report: b.client})
			}
			var below []*actor.PID
			for range siblings {
				below = append(below, expect[*HopReady](b).Interpreter)
			}
			b.say(below[0], &OpenHop{Hop: &Hop{Key: "deep", Dialer: localDialer(t, `{}`)}, Report: b.client})
			below = append(below, expect[*HopReady](b).Interpreter)
			boots := up.bytes.Load() - booted
			agent := int64(bootstrap.PackedSize())
			most := agent
			if name == "an agent that knows no other code" {
				most += agent // once, as a blob
			}
			if boots > most {
				t.Errorf("%d agents below a login cost its link %d bytes, of which one agent is %d; want less than %d", len(below), boots, agent, most)
			}

			before := up.bytes.Load()
			for i, pid := range below {
				runProbe(b, uint32(i), pid, module)
			}
			agents := map[string]bool{}
			for range below {
				d := expect[*Done](b)
				args, parent, _ := strings.Cut(string(d.Body), fmt.Sprintf(" %d ", ballastSize))
				if d.Result.RC != 0 || args != fmt.Sprintf("args%d", d.Key) {
					t.Fatalf("%+v %q", d.Result, d.Body)
				}
				agents[parent] = true
			}
			if len(agents) != len(below) {
				t.Errorf("the module ran in %d agents, want %d", len(agents), len(below))
			}
			cost := up.bytes.Load() - before
			size := int64(ballastSize)
			if pieces > 1 {
				size /= 2 // in a bundle; of hexadecimal digits half is left
			}
			if cost < size || cost > size+size/5 {
				t.Errorf("a module of %d bytes in %d agents cost the link of their login %d bytes", ballastSize, len(below), cost)
			}
			// The login itself has it by now.
			runProbe(b, 99, login.Interpreter, module)
			if d := expect[*Done](b); d.Result.RC != 0 {
				t.Errorf("%+v %s", d.Result, d.Body)
			}
			if more := up.bytes.Load() - before - cost; more > 1000 {
				t.Errorf("the login was sent %d bytes of what it holds", more)
			}
			// For somebody who has nothing yet, other code with most of its files in common.
			module, blobs = probeModule(pieces, "second")
			b.blobs[module] = blobs
			before = up.bytes.Load()
			b.say(below[0], &OpenHop{Hop: &Hop{Key: "deeper", Dialer: localDialer(t, `{}`)}, Report: b.client})
			runProbe(b, 100, expect[*HopReady](b).Interpreter, module)
			if d := expect[*Done](b); d.Result.RC != 0 {
				t.Errorf("%+v %s", d.Result, d.Body)
			}
			if more := up.bytes.Load() - before; more > 10_000 {
				t.Errorf("a module of which all but one file was there cost %d bytes", more)
			}
		})
	}
}
