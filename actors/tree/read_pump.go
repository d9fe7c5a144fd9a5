package tree

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"syscall"

	"github.com/asynkron/protoactor-go/actor"

	"spindle/actors"
	"spindle/transports/wire"
)

// readAhead is how many chunks a put has read from its file and not yet sent.
const readAhead = 4

// fileReader is the pump that reads a put's file, one chunk for each that is asked for, by its place.
type fileReader struct {
	wanted chan int64
}

// unsaidMost bounds what is read ahead of a file that does not say its size.
const unsaidMost = 64 << 20

// opened is the pump's first word: the file's facts, or why it cannot be read.
type opened struct {
	info os.FileInfo
	size int64 // of its content, which may be another than info has
	err  error
}

// chunkRead is one chunk of the file; a short one is its last.
type chunkRead struct {
	offset int64
	data   []byte
	err    error
}

// readFile starts the pump. Its owner gets *opened, and then a *chunkRead for each ask.
func readFile(ctx actor.Context, path string) *fileReader {
	r := &fileReader{wanted: make(chan int64, readAhead)}
	self, sys := ctx.Self(), actors.SystemOf(ctx)
	actors.Go(ctx, "file", func(ctx context.Context) error {
		f, info, err := openRegular(path)
		if err != nil {
			sys.Send(self, &opened{err: err})
			return nil
		}
		defer f.Close()
		content, size, err := measured(f, info.Size())
		sys.Send(self, &opened{info: info, size: size, err: err})
		if err != nil {
			return nil
		}
		end := int64(math.MaxInt64)
		for {
			var offset int64
			select {
			case offset = <-r.wanted:
			case <-ctx.Done():
				return nil
			}
			if offset > end { // asked for ahead, as it turned out of nothing
				sys.Send(self, &chunkRead{offset: offset})
				continue
			}
			buf := make([]byte, wire.ChunkMax)
			n, err := content.ReadAt(buf, offset)
			if errors.Is(err, io.EOF) {
				end, err = offset+int64(n), nil
			}
			sys.Send(self, &chunkRead{offset: offset, data: buf[:n], err: err})
			if err != nil {
				return nil
			}
		}
	})
	return r
}

// measured is a file's content and how long that is. Files of /proc and /sys have another size than they say, so what is small is read ahead.
func measured(f *os.File, said int64) (io.ReaderAt, int64, error) {
	most := int64(wire.ChunkMax)
	switch {
	case said > most:
		return f, said, nil
	case said == 0:
		most = unsaidMost
	}
	held, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, 0, err
	case int64(len(held)) > most: // it grows
		return f, said, nil
	}
	return bytes.NewReader(held), int64(len(held)), nil
}

// ask never blocks, as long as no more than readAhead chunks are asked for.
func (r *fileReader) ask(offset int64) { r.wanted <- offset }

// irregular is the error for a source that is no file; what it says is the contract's text (§1.10).
type irregular string

func (path irregular) Error() string { return "'" + string(path) + "' is not a regular file." }

func openRegular(path string) (*os.File, os.FileInfo, error) {
	// O_NONBLOCK: opening a FIFO must not wait for a writer; it is refused just below.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = irregular(path)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}
