// Command tour_binary is an Ansible module in machine code, for the tour: it is built and put beside the playbook.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	b, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Printf(`{"failed": true, "msg": %q}`, err)
		return
	}
	var args struct {
		Word string `json:"word"`
	}
	if err := json.Unmarshal(b, &args); err != nil {
		fmt.Printf(`{"failed": true, "msg": %q}`, err)
		return
	}
	name, _, _ := strings.Cut(filepath.Base(os.Args[0]), ".")
	fmt.Printf(`{"changed": false, "word": %q, "uid": %d, "name": %q}`+"\n", args.Word, os.Getuid(), name)
}
