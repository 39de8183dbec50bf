package main

import (
	"path/filepath"
	"strconv"
	"strings"
)

// packageNames are the files of the deb and the rpm. nfpm would write 1.2.3~rc.1 into them, as
// into the packages: GitHub makes another character of that one, and the checksums would name
// files that nobody has.
func packageNames(version, arch string) map[string]string {
	return map[string]string{
		"deb": name + "_" + version + "_" + arch + ".deb",
		"rpm": name + "-" + version + "-1." + map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch] + ".rpm",
	}
}

// packages makes the deb and the rpm, as nfpm.yaml says.
func (r *release) packages(t target, binary, notices string) error {
	version := strings.TrimPrefix(r.version, "v")
	env := []string{
		"VERSION=" + version, "ARCH=" + t.arch, "BINARY=" + binary, "NOTICES=" + notices,
		"SOURCE=" + r.source, "SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.time.Unix(), 10),
	}
	config := filepath.Join(r.source, "packaging", "nfpm.yaml")
	for kind, file := range packageNames(version, t.arch) {
		if _, err := r.tool(env, "nfpm", "package", "--config", config, "--packager", kind, "--target", filepath.Join(r.out, file)); err != nil {
			return err
		}
	}
	return nil
}
