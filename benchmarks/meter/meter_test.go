package meter

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers every line with itself, and ends when its client does.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				lines := bufio.NewReader(conn)
				for {
					line, err := lines.ReadBytes('\n')
					if err != nil {
						return
					}
					if _, err := conn.Write(line); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func listen(t *testing.T, target string, options Options) *Meter {
	t.Helper()
	m, err := Listen(target, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func dial(t *testing.T, m *Meter) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", m.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestEveryWaitIsOneRoundTrip(t *testing.T) {
	m := listen(t, echo(t), Options{})
	conn := dial(t, m)
	answers := bufio.NewReader(conn)
	for range 7 {
		if _, err := conn.Write([]byte("ask\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := answers.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	got := m.Counts()
	want := Counts{Connections: 1, Up: 28, Down: 28, RoundTrips: 7}
	if got != want {
		t.Errorf("7 questions one after another: got %+v, want %+v", got, want)
	}
}

func TestRequestsSentTogetherAreOneRoundTripOnALongLine(t *testing.T) {
	const delay = 100 * time.Millisecond
	m := listen(t, echo(t), Options{Delay: delay})
	conn := dial(t, m)
	started := time.Now()
	for range 7 {
		if _, err := conn.Write([]byte("ask\n")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadFull(conn, make([]byte, 28)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took < 2*delay {
		t.Errorf("answers came after %v, before the line's own %v", took, 2*delay)
	}
	if got := m.Counts().RoundTrips; got != 1 {
		t.Errorf("7 questions sent together: got %d round trips, want 1", got)
	}
}

func TestBytesArriveUnchangedAndTheEndIsPassedOn(t *testing.T) {
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	received := make(chan []byte, 1)
	go func() {
		conn, err := far.Accept()
		if err != nil {
			received <- nil
			return
		}
		defer conn.Close()
		all, _ := io.ReadAll(conn)
		conn.Write([]byte("thanks"))
		received <- all
	}()

	m := listen(t, far.Addr().String(), Options{Delay: time.Millisecond})
	conn := dial(t, m)
	sent := make([]byte, 3<<20)
	rand.Read(sent)
	if _, err := conn.Write(sent); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || string(answer) != "thanks" {
		t.Errorf("answer behind the end of input: got %q, %v", answer, err)
	}
	if got := <-received; !bytes.Equal(got, sent) {
		t.Errorf("far end received %d bytes, not the %d that were sent", len(got), len(sent))
	}
}

func TestCloseEndsOpenConnections(t *testing.T) {
	m := listen(t, echo(t), Options{})
	conn := dial(t, m)
	if _, err := conn.Write([]byte("ask\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlived its meter")
	}
	if err := m.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestAnUnreachableTargetEndsOnlyThatConnection(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	m := listen(t, gone.Addr().String(), Options{})
	if _, err := dial(t, m).Read(make([]byte, 1)); err == nil {
		t.Error("read from a target that is not there")
	}
	if got := m.Counts(); got != (Counts{}) {
		t.Errorf("counted %+v for a connection that never was", got)
	}
}
