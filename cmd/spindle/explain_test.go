package main

import (
	"strings"
	"testing"
)

// A host that steps aside is told of with the reason, and not as of a connection type that nobody knows.
func TestExplainSaysWhyAHostGoesTheStockWay(t *testing.T) {
	for want, e := range map[string]explanation{
		"web1\n  goes Ansible's own way: a Windows shell over ssh is not supported yet\n":                    {Host: "web1", Stock: "ssh", Why: "a Windows shell over ssh"},
		"web1\n  goes Ansible's own way: Spindle does not know the connection type ansible.netcommon.grpc\n": {Host: "web1", Stock: "ansible.netcommon.grpc"},
	} {
		var out strings.Builder
		e.print(&out)
		if out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}
