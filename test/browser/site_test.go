//go:build full

package browser

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The pages of the documents are no wider than a phone, wherever the site is put, and have
// nothing that they do not allow themselves.
func TestTheSiteFitsAPhone(t *testing.T) {
	t.Parallel()
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "-C", filepath.Join(repository, ".ci", "site"), "run", ".", repository, dir)
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const under = "/some/where/"
	server := httptest.NewServer(http.StripPrefix(under, http.FileServer(http.Dir(dir))))
	t.Cleanup(server.Close)
	p := open(t)
	p.allow("/favicon.ico")
	p.narrow()
	pages := 0
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".html") {
			return err
		}
		pages++
		p.visit(server.URL + under + name)
		if wide := eval[int](p, `document.scrollingElement.scrollWidth`); wide > phone {
			t.Errorf("%s is %d wide on a screen of %d", name, wide, phone)
		}
		return nil
	})
	if err != nil || pages < 30 {
		t.Errorf("%d pages, %v", pages, err)
	}
}
