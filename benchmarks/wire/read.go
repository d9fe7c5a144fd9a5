package wire

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// segment is what one packet of a full-sized connection carries over Ethernet: 1500 bytes without the heads of IP and TCP with time stamps.
const segment = 1448

// Traffic is what crossed the line in one run.
type Traffic struct {
	Connections int64 `json:"connections"`
	RoundTrips  int64 `json:"round_trips"` // see the package's comment; the handshake of each connection is one of them
	Up          int64 `json:"bytes_to_target"`
	Down        int64 `json:"bytes_from_target"`
	PacketsUp   int64 `json:"packets_to_target"`
	PacketsDown int64 `json:"packets_from_target"`
	Dropped     int   `json:"not_recorded,omitempty"`
}

// Event is one packet with data.
type Event struct {
	At    time.Duration // since the first packet of the record
	Bytes int
	Up    bool
}

// flow is one direction-less connection, as the client's end of it.
type flow struct {
	client, server gopacket.Endpoint
	from, to       layers.TCPPort
}

// Read reads a record of tcpdump's. Bytes are those of IP packets, heads included. Each packet with data is handed to event, if that is given.
func Read(path string, event func(Event)) (Traffic, error) {
	file, err := os.Open(path)
	if err != nil {
		return Traffic{}, err
	}
	defer file.Close()
	return read(file, event)
}

func read(from io.Reader, event func(Event)) (Traffic, error) {
	in, err := pcapgo.NewReader(from)
	if err != nil {
		return Traffic{}, fmt.Errorf("read a capture: %w", err)
	}
	var (
		t       Traffic
		eth     layers.Ethernet
		ip4     layers.IPv4
		ip6     layers.IPv6
		tcp     layers.TCP
		decoded []gopacket.LayerType
		begin   time.Time
		heard   = map[flow]bool{} // of every connection: whether the client has had data since it last sent some
	)
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &ip4, &ip6, &tcp)
	parser.IgnoreUnsupported = true
	for {
		data, info, err := in.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return t, fmt.Errorf("read a capture: %w", err)
		}
		if begin.IsZero() {
			begin = info.Timestamp
		}
		parser.DecodeLayers(data, &decoded) // a head that was cut off is as good as none
		var network gopacket.Flow
		var length, head int
		found := false
		for _, layer := range decoded {
			switch layer {
			case layers.LayerTypeIPv4:
				network, length, head = ip4.NetworkFlow(), int(ip4.Length), int(ip4.IHL)*4
			case layers.LayerTypeIPv6:
				network, length, head = ip6.NetworkFlow(), int(ip6.Length)+40, 40
			case layers.LayerTypeTCP:
				found = true
			}
		}
		if !found {
			continue
		}
		if length <= head { // a piece too large for the field
			length = info.Length - 14
		}
		heads := head + int(tcp.DataOffset)*4
		payload := max(0, length-heads)
		packets := max(1, (payload+segment-1)/segment)
		bytes := int64(payload + packets*heads)

		there := flow{network.Src(), network.Dst(), tcp.SrcPort, tcp.DstPort}
		back := flow{network.Dst(), network.Src(), tcp.DstPort, tcp.SrcPort}
		if tcp.SYN && !tcp.ACK {
			if _, again := heard[there]; !again {
				heard[there] = false
				t.Connections++
				t.RoundTrips++
			}
		}
		of, up := there, true
		if _, known := heard[back]; known {
			of, up = back, false
		} else if _, known := heard[there]; !known {
			continue // the end of a connection from before the record
		}
		if up {
			t.Up += bytes
			t.PacketsUp += int64(packets)
		} else {
			t.Down += bytes
			t.PacketsDown += int64(packets)
		}
		if payload == 0 {
			continue
		}
		switch {
		case !up:
			heard[of] = true
		case heard[of]:
			heard[of] = false
			t.RoundTrips++
		}
		if event != nil {
			event(Event{At: info.Timestamp.Sub(begin), Bytes: int(bytes), Up: up})
		}
	}
}
