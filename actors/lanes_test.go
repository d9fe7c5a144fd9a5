package actors_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"spindle/actors"
)

// laned is an item as the model sees it.
type laned struct {
	Seq    int
	ID     uint32
	Size   int
	Bulk   bool
	Urgent bool
}

// waits reports whether item i of the queue must wait for bulk of its own id.
func waits(queue []laned, i int) bool {
	return slices.ContainsFunc(queue[:i], func(other laned) bool { return other.ID == queue[i].ID && other.Bulk })
}

// Guarantee G2, against a model that only knows the rules: control that waits for no bulk of its own id leaves before
// any bulk; items of one id keep their order, but for urgent ones; bulk takes turns; nothing is lost, invented or sent
// beyond the limit.
func TestG2_ControlOvertakesBulk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lanes actors.Lanes[laned]
		var queue []laned // the model: what is queued, in the order of pushes
		lastServed := map[uint32]int{}
		seq, served := 0, 0
		push := func(it laned) laned {
			seq++
			it.Seq = seq
			it.ID = uint32(rapid.IntRange(0, 3).Draw(t, "id"))
			it.Size = rapid.IntRange(0, 100).Draw(t, "size")
			queue = append(queue, it)
			return it
		}
		t.Repeat(map[string]func(*rapid.T){
			"control": func(*rapid.T) { it := push(laned{}); lanes.PushControl(it.ID, it, it.Size) },
			"urgent":  func(*rapid.T) { it := push(laned{Urgent: true}); lanes.PushUrgent(it.ID, it, it.Size) },
			"bulk":    func(*rapid.T) { it := push(laned{Bulk: true}); lanes.PushBulk(it.ID, it, it.Size) },
			"drop": func(t *rapid.T) {
				id := uint32(rapid.IntRange(0, 3).Draw(t, "id"))
				dropped := lanes.Drop(id)
				var want []laned
				for _, it := range queue {
					if it.ID == id {
						want = append(want, it)
					}
				}
				bySeq := func(a, b laned) int { return a.Seq - b.Seq }
				slices.SortFunc(dropped, bySeq) // urgent ones may come first
				if diff := cmp.Diff(want, dropped); diff != "" {
					t.Fatalf("Drop(%d) mismatch (-want +got):\n%s", id, diff)
				}
				queue = slices.DeleteFunc(queue, func(it laned) bool { return it.ID == id })
				delete(lastServed, id)
			},
			"pop": func(t *rapid.T) {
				limit := rapid.IntRange(0, 300).Draw(t, "limit")
				out := lanes.Pop(limit)
				if len(out) == 0 && len(queue) > 0 {
					t.Fatalf("Pop gave nothing of %d items", len(queue))
				}
				total := 0
				for n, it := range out {
					if total += it.Size; n > 0 && total > limit {
						t.Fatalf("Pop(%d) gave %d bytes", limit, total)
					}
					i := slices.Index(queue, it)
					if i < 0 {
						t.Fatalf("%+v was not queued", it)
					}
					for j, other := range queue[:i] {
						if other.ID == it.ID && !it.Urgent && !other.Urgent {
							t.Fatalf("%+v overtook %+v", it, queue[j])
						}
						if other.Urgent && it.Urgent {
							t.Fatalf("urgent %+v overtook %+v", it, other)
						}
					}
					if it.Bulk {
						for j, other := range queue {
							if !other.Bulk && (other.Urgent || !waits(queue, j)) {
								t.Fatalf("bulk %+v left before control %+v", it, other)
							}
							// Whoever was queued already when this id had its last turn must have had one since.
							last, turned := lastServed[it.ID]
							if turned && other.Bulk && other.ID != it.ID && other.Seq <= last>>32 && lastServed[other.ID]&(1<<32-1) < last&(1<<32-1) {
								t.Fatalf("id %d had two turns while %d waited", it.ID, other.ID)
							}
						}
						served++
						lastServed[it.ID] = seq<<32 | served
					}
					queue = slices.Delete(queue, i, i+1)
				}
			},
			"": func(t *rapid.T) {
				bytes := 0
				for _, it := range queue {
					bytes += it.Size
				}
				if lanes.Len() != len(queue) || lanes.Bytes() != bytes {
					t.Fatalf("Len, Bytes = %d, %d, want %d, %d", lanes.Len(), lanes.Bytes(), len(queue), bytes)
				}
			},
		})
	})
}

func TestLanes(t *testing.T) {
	const control, urgent, bulk = 'c', 'u', 'b'
	type push struct {
		lane rune
		id   uint32
		item string
	}
	tests := []struct {
		name   string
		pushes []push
		limit  int
		want   []string
	}{
		{"empty", nil, 10, nil},
		{"control first", []push{{bulk, 1, "b1"}, {control, 2, "c2"}, {control, 0, "c0"}}, 10, []string{"c2", "c0", "b1"}},
		{"an end waits for its data", []push{{bulk, 1, "data"}, {control, 1, "eof"}, {control, 2, "c2"}}, 10, []string{"c2", "data", "eof"}},
		{"and goes right behind it", []push{{bulk, 1, "data"}, {control, 1, "eof"}, {bulk, 2, "x"}, {bulk, 2, "y"}}, 10, []string{"data", "eof", "x", "y"}},
		{"a cancel does not wait", []push{{bulk, 1, "data"}, {urgent, 1, "cancel"}}, 10, []string{"cancel", "data"}},
		{"bulk takes turns", []push{{bulk, 1, "a1"}, {bulk, 1, "a2"}, {bulk, 2, "b1"}, {bulk, 3, "c1"}, {bulk, 2, "b2"}}, 10, []string{"a1", "b1", "c1", "a2", "b2"}},
		{"up to the limit", []push{{bulk, 1, "a1"}, {bulk, 1, "a2"}, {bulk, 1, "a3"}}, 2, []string{"a1", "a2"}},
		{"at least one", []push{{bulk, 1, "a1"}, {bulk, 1, "a2"}}, 0, []string{"a1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var lanes actors.Lanes[string]
			for _, p := range test.pushes {
				switch p.lane {
				case control:
					lanes.PushControl(p.id, p.item, 1)
				case urgent:
					lanes.PushUrgent(p.id, p.item, 1)
				case bulk:
					lanes.PushBulk(p.id, p.item, 1)
				}
			}
			if diff := cmp.Diff(test.want, lanes.Pop(test.limit)); diff != "" {
				t.Errorf("Pop(%d) mismatch (-want +got):\n%s", test.limit, diff)
			}
		})
	}
}

func BenchmarkLanes(b *testing.B) {
	var lanes actors.Lanes[*int]
	item := new(int)
	for id := range uint32(100) {
		lanes.PushBulk(id, item, 128<<10)
	}
	b.ReportAllocs()
	id := uint32(0)
	for b.Loop() {
		lanes.PushBulk(id%100, item, 128<<10)
		lanes.PushControl(0, item, 64)
		lanes.Pop(128<<10 + 64)
		id++
	}
}

// A queue that is never empty must not grow for ever, nor lose its order when it moves.
func TestLanesStayInOrderWhileTheyMove(t *testing.T) {
	var lanes actors.Lanes[int]
	pushed, popped := 0, 0
	for range 50 {
		lanes.PushBulk(1, pushed, 1)
		pushed++
	}
	for range 10000 {
		lanes.PushBulk(1, pushed, 1)
		pushed++
		for _, got := range lanes.Pop(1) {
			if got != popped {
				t.Fatalf("got %d, want %d", got, popped)
			}
			popped++
		}
	}
	if lanes.Len() != 50 {
		t.Errorf("%d queued, want 50", lanes.Len())
	}
}
