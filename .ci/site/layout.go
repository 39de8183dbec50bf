package main

import (
	"bytes"
	"html/template"
	"maps"
	"path"
	"slices"
	"strings"
)

// section is a part of the navigation.
type section struct {
	Title string
	Pages []link
}

type link struct{ Title, Page string }

// navigation lists all documents: those of each directory together, by their titles.
func navigation(files map[string][]byte) []section {
	sections := []section{{Title: "Webhook Guard"}, {Title: "Guides"}, {Title: "Reference"}, {Title: "Decisions"}, {Title: "Examples"}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(name) != ".md" {
			continue
		}
		at := 0
		switch dir := path.Dir(name); {
		case dir == "docs/guides":
			at = 1
		case dir == "docs":
			at = 2
		case dir == "docs/adr":
			at = 3
		case strings.HasPrefix(dir, "examples"):
			at = 4
		}
		sections[at].Pages = append(sections[at].Pages, link{Title: titleOf(name, files[name]), Page: pageOf(name)})
	}
	for _, s := range sections {
		slices.SortStableFunc(s.Pages, func(a, b link) int { return order(a) - order(b) })
	}
	return slices.DeleteFunc(sections, func(s section) bool { return len(s.Pages) == 0 })
}

// order puts the page of a directory itself first.
func order(l link) int {
	if path.Base(l.Page) == "index.html" {
		return 0
	}
	return 1
}

// titleOf is a document's first heading.
func titleOf(name string, source []byte) string {
	for line := range bytes.Lines(source) {
		if heading, ok := bytes.CutPrefix(line, []byte("# ")); ok {
			return strings.ReplaceAll(strings.TrimSpace(string(heading)), "`", "")
		}
	}
	return name
}

var layout = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'self'; img-src 'self'">
<title>{{.Title}} · Webhook Guard</title>
<link rel="stylesheet" href="{{.Up}}style.css">
</head>
<body>
<nav>
{{range .Nav}}<details{{range .Pages}}{{if eq .Page $.Here}} open{{end}}{{end}}>
<summary>{{.Title}}</summary>
<ul>
{{range .Pages}}<li><a href="{{$.Up}}{{.Page}}"{{if eq .Page $.Here}} aria-current="page"{{end}}>{{.Title}}</a></li>
{{end}}</ul>
</details>
{{end}}{{if .Parts}}<details class="parts">
<summary>On this page</summary>
<ul>
{{range .Parts}}<li><a href="{{.Page}}">{{.Title}}</a></li>
{{end}}</ul>
</details>
{{end}}</nav>
<main>
{{.Body}}</main>
</body>
</html>
`))

const style = `body { display: flex; flex-wrap: wrap; gap: 2rem; max-width: 80rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #222; background: #fff }
nav { flex: 0 0 15rem; font-size: .9rem }
nav ul { list-style: none; padding-left: 1rem }
nav a[aria-current] { font-weight: bold; color: inherit; text-decoration: none }
summary { cursor: pointer; font-weight: bold }
.parts { margin-top: 1rem; border-top: 1px solid #ddd; padding-top: 1rem }
main { flex: 1 1 30rem; min-width: 0; overflow-wrap: break-word }
a { color: #0550ae }
pre { overflow-x: auto; tab-size: 4; padding: .75rem; background: #f4f4f4; border-radius: .25rem }
code { font: .9em ui-monospace, monospace }
:not(pre) > code { background: #f4f4f4; padding: .1em .25em; overflow-wrap: anywhere }
table { display: block; overflow-x: auto; border-collapse: collapse; font-size: .9rem }
th, td { border: 1px solid #ddd; padding: .3rem .5rem; text-align: left; vertical-align: top }
img { max-width: 100% }
@media (prefers-color-scheme: dark) {
	body { color: #ddd; background: #181818 }
	a { color: #79b8ff }
	pre, :not(pre) > code { background: #262626 }
	th, td, .parts { border-color: #444 }
}
`
