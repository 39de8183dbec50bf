package main

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
)

// sources are the documents and what they show. Everything else in the repository is
// linked to where it is published.
var sources = []string{"*.md", "docs/*.md", "docs/*.svg", "docs/*.png", "docs/adr/*.md", "docs/guides/*.md", "examples/*/README.md"}

// published is where files that are no documents are.
const published = "https://github.com/webhookguard/caddy-webhook-guard/blob/main/"

// build returns the files of the site by their paths.
func build(repository fs.FS) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, pattern := range sources {
		found, err := fs.Glob(repository, pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			if files[name], err = fs.ReadFile(repository, name); err != nil {
				return nil, err
			}
		}
	}
	nav := navigation(files)
	site := map[string][]byte{"style.css": []byte(style)}
	for name, source := range files {
		if path.Ext(name) != ".md" {
			site[name] = source
			continue
		}
		page, err := render(repository, files, nav, name, source)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		site[pageOf(name)] = page
	}
	return site, nil
}

// pageOf is the page that a document becomes.
func pageOf(name string) string {
	dir, file := path.Split(name)
	if file == "README.md" {
		return dir + "index.html"
	}
	return strings.TrimSuffix(name, ".md") + ".html"
}

var markdown = goldmark.New(
	// The pages allow no style in an element.
	goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)), extension.Linkify),
	goldmark.WithRendererOptions(html.WithUnsafe()), // for comments; build fails on anything else
)

var (
	onlyComment = regexp.MustCompile(`(?s)^<!--.*-->\s*$`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchor is how the places where the repository is read name a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-")
}

func render(repository fs.FS, files map[string][]byte, nav []section, name string, source []byte) ([]byte, error) {
	doc := markdown.Parser().Parse(text.NewReader(source), parser.WithContext(parser.NewContext()))
	title, taken := "", make(map[string]int)
	var parts []link // what is on the page
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			heading := string(plain(n, source))
			if title == "" {
				title = heading
			}
			id := anchor(heading)
			taken[id]++
			if taken[id] > 1 {
				id = fmt.Sprintf("%s-%d", id, taken[id]-1)
			}
			n.SetAttributeString("id", []byte(id))
			if n.Level == 2 {
				parts = append(parts, link{Title: heading, Page: "#" + id})
			}
		case *ast.Link:
			to, err := target(repository, files, name, string(n.Destination))
			n.Destination = []byte(to)
			return ast.WalkContinue, err
		case *ast.Image:
			to, err := target(repository, files, name, string(n.Destination))
			n.Destination = []byte(to)
			return ast.WalkContinue, err
		case *ast.HTMLBlock:
			raw := n.Lines().Value(source)
			if n.HasClosure() {
				raw = append(raw, n.ClosureLine.Value(source)...)
			}
			if !onlyComment.Match(raw) {
				return ast.WalkStop, fmt.Errorf("HTML that is no comment: %s", raw)
			}
		case *ast.RawHTML:
			return ast.WalkStop, fmt.Errorf("HTML in a line: %s", n.Segments.Value(source))
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	if err := markdown.Renderer().Render(&body, source, doc); err != nil {
		return nil, err
	}
	var page bytes.Buffer
	err = layout.Execute(&page, map[string]any{
		"Title": title, "Body": template.HTML(body.String()), "Up": strings.Repeat("../", strings.Count(name, "/")), "Nav": nav, "Here": pageOf(name), "Parts": parts,
	})
	return page.Bytes(), err
}

// plain is the text of a heading without its marks.
func plain(n ast.Node, source []byte) (out []byte) {
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		if t, ok := child.(*ast.Text); ok {
			out = append(out, t.Segment.Value(source)...)
		} else {
			out = append(out, plain(child, source)...)
		}
	}
	return out
}

// target is where a link of a document leads on the site. A link to a file that the
// repository does not have is an error.
func target(repository fs.FS, files map[string][]byte, from, to string) (string, error) {
	if strings.Contains(to, "://") || strings.HasPrefix(to, "#") || strings.HasPrefix(to, "mailto:") {
		return to, nil
	}
	file, fragment, _ := strings.Cut(to, "#")
	if fragment != "" {
		fragment = "#" + fragment
	}
	name := path.Join(path.Dir(from), file)
	if _, ok := files[name]; ok {
		up := strings.Repeat("../", strings.Count(from, "/"))
		if path.Ext(name) == ".md" {
			name = pageOf(name)
		}
		return up + name + fragment, nil
	}
	if _, err := fs.Stat(repository, name); err != nil {
		return "", fmt.Errorf("the link %s leads nowhere", to)
	}
	return published + name + fragment, nil
}

// write writes the files into a directory.
func write(dir string, files map[string][]byte) error {
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
