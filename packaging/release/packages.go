package main

import (
	"path/filepath"
	"strconv"
	"strings"
)

// packages makes the deb and the rpm, as nfpm.yaml says.
func (r *release) packages(t target, binary, notices string) error {
	env := []string{
		"VERSION=" + strings.TrimPrefix(r.version, "v"), "ARCH=" + t.arch, "BINARY=" + binary, "NOTICES=" + notices,
		"SOURCE=" + r.source, "SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.time.Unix(), 10),
	}
	config := filepath.Join(r.source, "packaging", "nfpm.yaml")
	for _, kind := range []string{"deb", "rpm"} {
		if _, err := r.tool(env, "nfpm", "package", "--config", config, "--packager", kind, "--target", r.out+"/"); err != nil {
			return err
		}
	}
	return nil
}
