package main

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var (
	id   = regexp.MustCompile(` id="([^"]*)"`)
	href = regexp.MustCompile(` (?:href|src)="([^"]*)"`)
)

// Every link of every document leads to a page, and to a heading of it; and no page has a
// script, or anything that would need one.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	site, err := build(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	anchors := make(map[string]map[string]bool)
	for name, text := range site {
		anchors[name] = make(map[string]bool)
		for _, match := range id.FindAllStringSubmatch(string(text), -1) {
			anchors[name][match[1]] = true
		}
	}
	links, pages := 0, 0
	for name, text := range site {
		if path.Ext(name) != ".html" {
			continue
		}
		pages++
		if lower := strings.ToLower(string(text)); strings.Contains(lower, "<script") || strings.Contains(lower, " onclick=") || strings.Contains(lower, " style=") {
			t.Errorf("%s has a script or a style, which it does not allow itself", name)
		}
		for _, match := range href.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(match[1], "://") || strings.HasPrefix(match[1], "mailto:") {
				continue
			}
			links++
			file, fragment, _ := strings.Cut(match[1], "#")
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
			}
			if _, ok := site[to]; !ok {
				t.Errorf("%s: %s leads nowhere", name, match[1])
			} else if fragment != "" && !anchors[to][fragment] {
				t.Errorf("%s: %s: %s has no such heading", name, match[1], to)
			}
		}
	}
	if pages < 30 || links < 1000 {
		t.Errorf("only %d pages with %d links", pages, links)
	}
}

// A page lists its parts, for whoever looks for one of them.
func TestAPageListsItsParts(t *testing.T) {
	site, err := build(fstest.MapFS{"README.md": {Data: []byte("# A\n\n## First `part`\n\n### Detail\n\n## Second\n\n## Second\n")}, "SECURITY.md": {Data: []byte("# B\n")}})
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(site["index.html"]), "On this page")
	list, _, _ = strings.Cut(list, "</nav>")
	var parts []string
	for _, match := range regexp.MustCompile(`<a href="([^"]*)">([^<]*)</a>`).FindAllStringSubmatch(list, -1) {
		parts = append(parts, match[1]+" "+match[2])
	}
	if want := []string{"#first-part First part", "#second Second", "#second-1 Second"}; !slices.Equal(parts, want) {
		t.Errorf("the page has %q, want %q", parts, want)
	}
	if strings.Contains(string(site["SECURITY.html"]), "On this page") {
		t.Error("a page without parts lists them")
	}
}

// A document that links to nowhere, or has HTML of its own, is refused.
func TestBuildRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"a link":            "# A\n\n[b](b.md)\n",
		"a link of a table": "# A\n\n| a |\n|---|\n| [b](docs/b.md#c) |\n",
		"a script":          "# A\n\n<script>alert(1)</script>\n",
		"HTML in a line":    "# A\n\na <img src=x> b\n",
		"HTML in a heading": "# A <name>\n",
	} {
		if _, err := build(fstest.MapFS{"README.md": {Data: []byte(text)}}); err == nil {
			t.Errorf("%s is let through", name)
		}
	}
	if _, err := build(fstest.MapFS{"README.md": {Data: []byte("# A\n\n<!-- file: x -->\n\n[code](x.go)\n")}, "x.go": {}}); err != nil {
		t.Errorf("a comment and a link to a file: %v", err)
	}
}

func TestAnchor(t *testing.T) {
	for heading, want := range map[string]string{
		"Use Redis, Sentinel or a Cluster": "use-redis-sentinel-or-a-cluster",
		"caddy webhook-guard inbox list":   "caddy-webhook-guard-inbox-list",
		"What {file.x} and per_request do": "what-filex-and-per_request-do",
	} {
		if got := anchor(heading); got != want {
			t.Errorf("%q is #%s, want #%s", heading, got, want)
		}
	}
}
