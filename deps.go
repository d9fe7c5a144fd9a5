//go:build deps

package spindle

import (
	_ "al.essio.dev/pkg/shellescape"
	_ "charm.land/lipgloss/v2"
	_ "charm.land/lipgloss/v2/tree"
	_ "charm.land/lipgloss/v2/table"
	_ "github.com/asynkron/protoactor-go/actor"
	_ "github.com/creack/pty"
	_ "github.com/gliderlabs/ssh"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/skeema/knownhosts"
	_ "github.com/spf13/cobra"
	_ "github.com/vmihailenco/msgpack/v5"
	_ "go.uber.org/goleak"
	_ "go.uber.org/zap"
	_ "go.uber.org/zap/exp/zapslog"
	_ "go.uber.org/zap/zaptest"
	_ "golang.org/x/crypto/ssh"
	_ "golang.org/x/crypto/ssh/agent"
	_ "golang.org/x/crypto/ssh/knownhosts"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/sys/unix"
	_ "mvdan.cc/sh/v3/shell"
	_ "mvdan.cc/sh/v3/syntax"
	_ "pgregory.net/rapid"
)
