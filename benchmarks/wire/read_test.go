package wire

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// packet is one segment of a made-up capture.
type packet struct {
	up      bool
	port    int // the client's
	syn     bool
	ack     bool
	payload int
	at      time.Duration
}

// capture writes packets as tcpdump would have, cut off behind 128 bytes.
func capture(t *testing.T, packets []packet) []byte {
	t.Helper()
	var out bytes.Buffer
	w := pcapgo.NewWriter(&out)
	if err := w.WriteFileHeader(128, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	controller, target := net.IP{10, 97, 0, 1}, net.IP{10, 98, 0, 1}
	for _, p := range packets {
		ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: controller, DstIP: target}
		tcp := &layers.TCP{SrcPort: layers.TCPPort(p.port), DstPort: 22, SYN: p.syn, ACK: p.ack}
		if !p.up {
			ip.SrcIP, ip.DstIP = target, controller
			tcp.SrcPort, tcp.DstPort = tcp.DstPort, tcp.SrcPort
		}
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		eth := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
		b := gopacket.NewSerializeBuffer()
		options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
		if err := gopacket.SerializeLayers(b, options, eth, ip, tcp, gopacket.Payload(make([]byte, p.payload))); err != nil {
			t.Fatal(err)
		}
		whole := b.Bytes()
		info := gopacket.CaptureInfo{Timestamp: time.Unix(1000, 0).Add(p.at), CaptureLength: min(128, len(whole)), Length: len(whole)}
		if err := w.WritePacket(info, whole[:info.CaptureLength]); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestReadCountsWhatCrossed(t *testing.T) {
	data := capture(t, []packet{
		{up: false, port: 999, ack: true, payload: 70}, // of a connection from before
		{up: true, port: 1000, syn: true},
		{up: false, port: 1000, syn: true, ack: true},
		{up: true, port: 1000, ack: true},
		{up: true, port: 1000, ack: true, payload: 10, at: time.Second},
		{up: true, port: 1000, ack: true, payload: 10}, // the same flight
		{up: false, port: 1000, ack: true, payload: 5},
		{up: true, port: 1000, ack: true}, // an acknowledgement is no turn
		{up: true, port: 1000, ack: true, payload: 4000, at: 3 * time.Second},
		{up: false, port: 1000, ack: true, payload: 5},
		{up: true, port: 1001, syn: true},
		{up: true, port: 1001, syn: true}, // once more, because it was lost
	})
	var events []Event
	got, err := read(bytes.NewReader(data), func(e Event) { events = append(events, e) })
	if err != nil {
		t.Fatal(err)
	}
	const heads = 40
	want := Traffic{
		Connections: 2,
		// Both handshakes, and the request that followed the first answer.
		RoundTrips:  3,
		PacketsUp:   5 + 3 + 2, // 4000 bytes are three segments
		Up:          5*heads + 20 + 4000 + 3*heads + 2*heads,
		PacketsDown: 3,
		Down:        3*heads + 10,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("traffic mismatch (-want +got):\n%s", diff)
	}
	if len(events) != 5 || events[3] != (Event{At: 3 * time.Second, Bytes: 4000 + 3*heads, Up: true}) {
		t.Errorf("events: %+v", events)
	}
}

func TestReadRefusesWhatIsNoCapture(t *testing.T) {
	if _, err := read(bytes.NewReader([]byte("not a capture at all, but long enough")), nil); err == nil {
		t.Error("nonsense was read")
	}
}
