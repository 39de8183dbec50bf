package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

// entry is a file of an archive: data, or what a file holds.
type entry struct {
	name       string
	from       string
	data       []byte
	executable bool
}

// contents are the files of an archive, but for the licences of others.
func (r *release) contents(t target, binary string) []entry {
	at := func(path string) string { return filepath.Join(r.source, filepath.FromSlash(path)) }
	files := []entry{
		{name: t.binary(), from: binary, executable: true},
		{name: "LICENSE", from: at("LICENSE")},
		{name: "README.md", from: at("README.md")},
		{name: "CHANGELOG.md", from: at("CHANGELOG.md")},
		{name: "Caddyfile", from: at("Caddyfile")},
		{name: "demo.env", from: at("examples/demo.env")}, // with which that one starts
	}
	if t.os == "linux" {
		files = append(files,
			entry{name: "webhook-guard.service", from: at("packaging/systemd/webhook-guard.service")},
			entry{name: "environment", from: at("packaging/environment")})
	}
	return files
}

func (e entry) mode() int64 {
	if e.executable {
		return 0o755
	}
	return 0o644
}

func (e entry) read() ([]byte, error) {
	if e.from == "" {
		return e.data, nil
	}
	return os.ReadFile(e.from)
}

// archive writes a .zip for Windows, and a .tar.gz for all others, with the files in a
// directory of the archive's own name.
func (r *release) archive(t target, stem string, files []entry) (err error) {
	write, suffix := writeTar, ".tar.gz"
	if t.os == "windows" {
		write, suffix = writeZip, ".zip"
	}
	out, err := os.Create(filepath.Join(r.out, stem+suffix))
	if err != nil {
		return err
	}
	return errors.Join(write(out, stem, files, r.time), out.Close())
}

// writeTar writes the files under one owner, one time and fixed modes, whoever has them.
func writeTar(to io.Writer, dir string, files []entry, at time.Time) error {
	compressed, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(compressed)
	for _, file := range files {
		data, err := file.read()
		if err != nil {
			return err
		}
		head := &tar.Header{
			Name: dir + "/" + file.name, Mode: file.mode(), Size: int64(len(data)), ModTime: at,
			Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		}
		if err := w.WriteHeader(head); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), compressed.Close())
}

func writeZip(to io.Writer, dir string, files []entry, at time.Time) error {
	w := zip.NewWriter(to)
	for _, file := range files {
		data, err := file.read()
		if err != nil {
			return err
		}
		head := &zip.FileHeader{Name: dir + "/" + file.name, Method: zip.Deflate, Modified: at}
		head.SetMode(os.FileMode(file.mode()))
		out, err := w.CreateHeader(head)
		if err != nil {
			return err
		}
		if _, err := out.Write(data); err != nil {
			return err
		}
	}
	return w.Close()
}
