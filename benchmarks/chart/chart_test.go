package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAChartIsWellFormedAndNamesEveryContender(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chart.svg")
	lanes := []Lane{
		{Title: "stock Ansible", Bin: time.Second, Up: []int64{0, 22_000_000, 1}, Down: []int64{5, 0, 0}, Events: []int64{1, 900, 1}},
		{Title: "Spindle", Bin: time.Millisecond, Up: []int64{0, 0, 0}, Down: []int64{0, 0, 0}, Events: []int64{0, 0, 0}},
	}
	if err := Write(path, "a title <with> & signs", lanes); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	in := xml.NewDecoder(file)
	var text strings.Builder
	elements := map[string]int{}
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements[token.Name.Local]++
		case xml.CharData:
			text.Write(token)
		}
	}
	if elements["svg"] != 1 || elements["path"] < 2 {
		t.Errorf("elements: %v", elements)
	}
	for _, want := range []string{"a title <with> & signs", "stock Ansible: 3.0 s, 22 MB to the target", "Spindle: 0.0 s"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the chart does not say %q", want)
		}
	}
}
