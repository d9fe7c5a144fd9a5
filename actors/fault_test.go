package actors

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func recovered(fn func()) (fault Fault) {
	defer func() { fault = faultOf(recover()) }()
	fn()
	return Fault{}
}

func TestFaultOf(t *testing.T) {
	var none map[string]int
	list := []int{1}
	tests := []struct {
		name  string
		panic func()
		want  string // the beginning of its text
	}{
		{"fault", func() { panic(Fault{Class: ClassLink, Err: io.EOF}) }, "link lost: EOF"},
		{"pointer", func() { panic(&Fault{Class: ClassLink}) }, "link lost"},
		{"nil pointer", func() { panic((*Fault)(nil)) }, "defect: panic with a *actors.Fault at actors.TestFaultOf"},
		{"text", func() { panic("password: x") }, "defect: panic with a string at actors.TestFaultOf"},
		{"error", func() { panic(errors.New("password: x")) }, "defect: panic with a *errors.errorString at actors.TestFaultOf"},
		{"nil map", func() { none["x"] = 1 }, "defect: assignment to entry in nil map at actors.TestFaultOf"},
		{"index", func() { _ = list[len(list)+1] }, "defect: runtime error: index out of range [2] with length 1 at actors.TestFaultOf"},
		{"nil", func() { panic(nil) }, "defect: panic called with nil argument"},
		{"deep", func() { _, _ = io.ReadAll(nil) }, "defect: runtime error: invalid memory address or nil pointer dereference at io.ReadAll"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fault := recovered(test.panic)
			if got := fault.Error(); !strings.HasPrefix(got, test.want) {
				t.Errorf("got %q, want %q …", got, test.want)
			}
		})
	}
}

func TestFaultUnwraps(t *testing.T) {
	var err error = &Failed{Path: "tree/web1", Err: Fault{Class: ClassLink, Err: io.ErrUnexpectedEOF}}
	if fault, ok := errors.AsType[Fault](err); !ok || fault.Class != ClassLink {
		t.Errorf("no fault in %v", err)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("no cause in %v", err)
	}
	if got, want := err.Error(), "tree/web1: link lost: unexpected EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
