package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"time"
)

// htmx is version 2.0.11, as npm has it, under the licence beside it.
//
//go:embed static/page.css static/page.js static/htmx.min.js static/icon.svg
var staticFiles embed.FS

// sendStatic sends a file that all screens share. A browser keeps it, and asks whether it has
// changed.
func sendStatic(v *visit, name string) error {
	content, err := staticFiles.ReadFile("static/" + name)
	if err != nil {
		return refusal{http.StatusNotFound, "There is no such file."}
	}
	sum := sha256.Sum256(content)
	header := v.w.Header()
	header.Set("Cache-Control", "private, no-cache")
	header.Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	http.ServeContent(v.w, v.r, name, time.Time{}, bytes.NewReader(content))
	return nil
}
