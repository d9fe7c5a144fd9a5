// Package wire records what crosses the network during a run, with tcpdump, and reads the record with gopacket.
//
// A record holds the heads of all TCP segments on the controller's side of the line. From them come bytes and segments each way, TCP
// connections, and turns: how often a connection carried data to the target after data from it, which is the number of round
// trips that something waited for. Retransmitted bytes count as often as they were sent, as they do on a real line.
//
// Where the kernel hands several segments over in one piece, as it does between two ends of a virtual cable, they count as the segments
// that they would have been.
//
// Start begins a record, Stop ends it and says how much tcpdump missed, and Read reads it: once for the sums (Traffic), and each packet with its
// time for whoever draws the course of a run.
package wire
