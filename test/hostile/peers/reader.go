// Reads requests, one JSON text a line (itself a JSON string), and says how a Go server takes each of them.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path"
)

type request struct {
	Method any `json:"method"`
	Params struct {
		Name any `json:"name"`
		URI  any `json:"uri"`
		Ref  struct {
			Name any `json:"name"`
			URI  any `json:"uri"`
		} `json:"ref"`
		Arguments struct {
			Amount any `json:"amount"`
		} `json:"arguments"`
	} `json:"params"`
}

func paths(uri any) []string {
	text, ok := uri.(string)
	if !ok {
		return []string{}
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "file" || parsed.Path == "" {
		return []string{}
	}
	return []string{path.Clean(parsed.Path)}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<26)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var text string
		var read request
		if json.Unmarshal(lines.Bytes(), &text) != nil || json.Unmarshal([]byte(text), &read) != nil {
			fmt.Fprintln(out, "null")
			continue
		}
		target := read.Params.Name
		if target == nil {
			target = read.Params.Ref.Name
		}
		found := append(paths(read.Params.URI), paths(read.Params.Ref.URI)...)
		said, _ := json.Marshal(map[string]any{"method": read.Method, "target": target, "amount": read.Params.Arguments.Amount, "paths": found})
		fmt.Fprintln(out, string(said))
	}
}
