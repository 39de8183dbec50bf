package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const repository = "https://github.com/webhookguard/caddy-webhook-guard"

// sum is the SHA-256 of a file.
type sum struct{ file, hex string }

// checksums are those of all files in a directory, in the order of their names.
func checksums(dir string) (sums []sum, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			return nil, err
		}
		digest := sha256.Sum256(data)
		sums = append(sums, sum{file.Name(), hex.EncodeToString(digest[:])})
	}
	return sums, nil
}

// sumsFile is what `sha256sum --check` reads.
func sumsFile(sums []sum) string {
	var text strings.Builder
	for _, s := range sums {
		fmt.Fprintf(&text, "%s  %s\n", s.hex, s.file)
	}
	return text.String()
}

// object is a JSON object. Its members are written in the order of their names.
type object map[string]any

// provenance says what the files were built from, as an in-toto statement with a predicate
// of SLSA provenance. It is not signed: the workflow that publishes a release does that.
func (r *release) provenance(sums []sum) ([]byte, error) {
	version, err := command(r.source, nil, "go", "env", "GOVERSION")
	if err != nil {
		return nil, err
	}
	platforms := make([]string, len(r.targets))
	for i, t := range r.targets {
		platforms[i] = t.String()
	}
	subjects := make([]object, len(sums))
	for i, s := range sums {
		subjects[i] = object{"name": s.file, "digest": object{"sha256": s.hex}}
	}
	statement := object{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       subjects,
		"predicateType": "https://slsa.dev/provenance/v1",
		"predicate": object{
			"buildDefinition": object{
				"buildType":          repository + "/blob/main/docs/releases.md",
				"externalParameters": object{"version": r.version, "platforms": platforms, "sourceDateEpoch": r.time.Unix()},
				"internalParameters": object{"go": strings.TrimSpace(version)},
				"resolvedDependencies": []object{{
					"uri": "git+" + repository + "@" + r.commit, "digest": object{"gitCommit": r.commit},
				}},
			},
			"runDetails": object{"builder": object{"id": repository + "/blob/main/packaging/release/main.go"}},
		},
	}
	text, err := json.MarshalIndent(statement, "", "  ")
	return append(text, '\n'), err
}
