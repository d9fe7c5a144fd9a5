package ssh

import (
	"net"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// mute is a connection that takes questions, and answers one when it is told to.
type mute struct {
	gossh.Conn
	asked, answer chan struct{}
}

func (m *mute) SendRequest(string, bool, []byte) (bool, []byte, error) {
	m.asked <- struct{}{}
	<-m.answer
	return false, nil, nil
}

// A connection ends when as many questions in a row as it is allowed were not answered, each in its interval, and never before one was asked.
func TestKeepaliveCountsQuestions(t *testing.T) {
	for _, c := range []struct {
		name         string
		count, lasts int // how many silent intervals it lasts; 0: any number
	}{
		{"one", 1, 1},
		{"three", 3, 3},
		{"any number", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			const every = time.Hour
			ours, theirs := net.Pipe()
			defer theirs.Close()
			m := &mute{asked: make(chan struct{}), answer: make(chan struct{})}
			client := &Client{
				target: &target{aliveEvery: every, aliveCount: c.count}, conn: newLossyConn(ours), ssh: m, done: make(chan struct{}),
			}
			client.alive.start(client)
			var ticks sync.WaitGroup
			defer func() {
				client.alive.stop()
				close(m.answer)
				ticks.Wait()
				_ = client.conn.Close()
			}()
			// interval passes without a word, and the timer goes off. It says whether that asks something.
			interval := func() bool {
				client.conn.born = client.conn.born.Add(-every)
				over := make(chan struct{})
				ticks.Go(func() {
					client.alive.tick(client)
					close(over)
				})
				select {
				case <-m.asked:
					return true
				case <-over:
					return false
				}
			}
			// Each question has its answer.
			for range 5 {
				if !interval() || client.conn.lost() != nil {
					t.Fatalf("it was not asked, or given up: %v", client.conn.lost())
				}
				client.conn.last.Store(int64(time.Since(client.conn.born)))
				m.answer <- struct{}{}
				ticks.Wait()
			}
			// None has.
			lasts := c.lasts
			if lasts == 0 {
				lasts = 100
			}
			for i := range lasts {
				if asked := interval(); asked != (i == 0) || client.conn.lost() != nil {
					t.Fatalf("after %d silent intervals asked is %v, and it was given up: %v", i+1, asked, client.conn.lost())
				}
			}
			if interval(); (client.conn.lost() != nil) != (c.lasts > 0) {
				t.Errorf("after %d silent intervals: %v", lasts+1, client.conn.lost())
			}
		})
	}
}

// Never, in ssh_config, is a count of 0.
func TestKeepaliveCountOfTheConfiguration(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "1": 1, "7": 7} {
		c, err := parseConfig([]byte("user u\nhostname h\nport 22\nuserknownhostsfile /u/.ssh/known_hosts\nserveralivecountmax " + text + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		made, err := newTarget("h", c, c)
		if err != nil || made.aliveCount != want {
			t.Errorf("%s gave %+v, %v", text, made, err)
		}
	}
}
