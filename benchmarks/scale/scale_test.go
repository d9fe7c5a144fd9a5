package scale

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	ServeIfAsked()
	goleak.VerifyTestMain(m)
}

// The budget is 64 KiB for an idle hop and its interpreter. Here the SSH connection in front of them counts too: its cipher and
// buffers, and four of the goroutines.
const (
	bytesEach      = 96 << 10
	goroutinesEach = 6
	actorsEach     = 4 // hop, interpreter, and the pumps that read and close
)

// hostsHere is how many hosts the test has; make soak has more.
func hostsHere(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("SPINDLE_TEST_HOPS"))
	if err != nil || n < 1 {
		return 500
	}
	t.Logf("%d hosts", n)
	return n
}

// patience multiplies limits, for a machine that has other things to do.
func patience() time.Duration {
	n, _ := strconv.Atoi(os.Getenv("SPINDLE_TEST_PATIENCE"))
	return time.Duration(max(1, n))
}

// binary is the program, built without the race detector, which takes memory of its own.
func binary(t *testing.T) string {
	if path := os.Getenv("SPINDLE_TEST_BINARY"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "spindle")
	build := exec.Command("go", "build", "-o", path, "spindle/cmd/spindle")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// Many hosts in one multiplexer, all of which connect at once, over real SSH: each takes a bounded share of memory and an exact number of
// goroutines and actors while it is idle, none is asked about that need not be, and all answer.
func TestManyHostsAreCheap(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		if os.Getenv("SPINDLE_TEST_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skip("needs ssh: ", err)
	}
	hosts := hostsHere(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute*patience())
	defer cancel()
	lab, err := New(binary(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	lab.Heartbeat = 3600 // or some of them would be at work whenever one looks
	closed := false
	defer func() {
		if err := lab.Close(); err != nil && closed {
			t.Error(err)
		}
	}()
	// The first ones pay for what all share.
	if _, err := lab.Connect(ctx, 50); err != nil {
		t.Fatal(err)
	}
	before, err := lab.Idle(ctx)
	if err != nil {
		t.Fatal(err)
	}
	crowd, err := lab.Connect(ctx, hosts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Work(ctx, hosts+50, 3); err != nil {
		t.Fatal(err)
	}
	after, err := lab.Idle(ctx)
	if err != nil {
		t.Fatal(err)
	}
	each := int(int64(after.Heap+after.Stacks)-int64(before.Heap+before.Stacks)) / hosts
	t.Logf("%d bytes and %.2f ms of CPU a host, the first result after %s, the last after %s", each,
		float64(crowd.CPU)/float64(time.Millisecond)/float64(hosts), crowd.First, crowd.Last)
	if each > bytesEach {
		t.Errorf("%d bytes for each idle host, want at most %d", each, bytesEach)
	}
	if got, want := after.Goroutines-before.Goroutines, goroutinesEach*hosts; got != want {
		t.Errorf("%d goroutines for %d hosts, want %d", got, hosts, want)
	}
	if got, want := after.Actors-before.Actors, actorsEach*hosts; got != want {
		t.Errorf("%d actors and pumps for %d hosts, want %d", got, hosts, want)
	}
	if b, err := lab.Profile(ctx, "goroutine"); err != nil || len(b) < 2 || b[0] != 0x1f || b[1] != 0x8b {
		t.Errorf("the profile is %d bytes, not compressed as Go's are, %v", len(b), err)
	}
	if b, err := lab.Profile(ctx, "nonsense"); err == nil {
		t.Errorf("a profile that does not exist has %d bytes", len(b))
	}
	closed = true
}
