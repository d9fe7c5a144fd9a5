package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports/wire"
)

// readAhead is how many chunks a put has read from its file and not yet sent.
const readAhead = 4

// fileReader is the pump that reads a put's file, one chunk for each that is asked for.
type fileReader struct {
	wanted chan struct{}
}

// opened is the pump's first word: the file's facts, or why it cannot be read.
type opened struct {
	info os.FileInfo
	err  error
}

// chunkRead is one chunk of the file; a short one is its last.
type chunkRead struct {
	data []byte
	err  error
}

// readFile starts the pump. Its owner gets *opened, and then a *chunkRead for each ask.
func readFile(ctx actor.Context, path string) *fileReader {
	r := &fileReader{wanted: make(chan struct{}, readAhead)}
	self, sys := ctx.Self(), actors.SystemOf(ctx)
	actors.Go(ctx, "file", func(ctx context.Context) error {
		f, info, err := openRegular(path)
		sys.Send(self, &opened{info: info, err: err})
		if err != nil {
			return nil
		}
		defer f.Close()
		for {
			select {
			case <-r.wanted:
			case <-ctx.Done():
				return nil
			}
			buf := make([]byte, wire.ChunkMax)
			n, err := io.ReadFull(f, buf)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = nil
			}
			sys.Send(self, &chunkRead{data: buf[:n], err: err})
			if err != nil || n < len(buf) {
				return nil
			}
		}
	})
	return r
}

// ask never blocks, as long as no more than readAhead chunks are asked for.
func (r *fileReader) ask() { r.wanted <- struct{}{} }

func openRegular(path string) (*os.File, os.FileInfo, error) {
	// O_NONBLOCK: opening a FIFO must not wait for a writer; it is refused just below.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("'%s' is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}
