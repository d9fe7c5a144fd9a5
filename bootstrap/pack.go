package bootstrap

import (
	"bytes"
	"compress/zlib"
	"embed"
	"fmt"
	"strings"
	"sync"

	"spindle/transports/wire"
)

//go:embed agent/*.py
var agent embed.FS

// parts are the files of the agent in the order of use, behind the frame codec: they share one namespace, and the last one runs it.
var parts = []string{
	"base", "ledger", "files", "transfer", "closure", "module", "composite", "login", "child", "stream", "byway", "job", "chain", "facts", "link", "main",
}

// loader is what the first stage runs. It has the parts compiled one by one: Python's compiler takes many times the memory of
// what it is given, and the system gets little of that back, so that every fork would have to go through it.
const loader = "z=zlib.decompressobj();z.decompress(bytes(d));z=z.unused_data\nfor p in zlib.decompress(z).split(b'\\0'):exec(p)\n"

// packed returns the agent as it travels, and its digest: the loader, and behind it the parts, with a NUL between two.
var packed = sync.OnceValues(func() ([]byte, wire.Digest) {
	data := append(compress([]byte(loader)), compress([]byte(strings.Join(sources(), "\x00")))...)
	return data, wire.Sum(data)
})

// compress returns data as the first stage takes it.
func compress(data []byte) []byte {
	var out bytes.Buffer
	w, err := zlib.NewWriterLevel(&out, zlib.BestCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(fmt.Sprintf("bootstrap: compress: %v", err)) // a buffer takes everything
	}
	return out.Bytes()
}

// sources returns the parts as the target gets them.
func sources() []string {
	texts := []string{strip(wire.PythonSource)}
	for _, name := range parts {
		text, err := agent.ReadFile("agent/" + name + ".py")
		if err != nil {
			panic(fmt.Sprintf("bootstrap: %v", err)) // they are in this binary
		}
		texts = append(texts, strip(string(text)))
	}
	return texts
}

// AgentDigest names the packed agent. The agent reports it in HELLO; as a blob, it is what one agent splices into the
// stdin of the next.
func AgentDigest() wire.Digest {
	_, digest := packed()
	return digest
}

// PackedSize returns how many bytes of a flight are the agent.
func PackedSize() int {
	data, _ := packed()
	return len(data)
}

// Packed returns the packed agent, which is what the blob named [AgentDigest] holds.
func Packed() []byte {
	data, _ := packed()
	return bytes.Clone(data)
}
