package placeholder

import (
	"os"
	"strings"
	"time"
)

// Files are the paths of the files that the text reads.
func (t Text) Files() []string {
	var paths []string
	for _, name := range t.Names() {
		if path, ok := strings.CutPrefix(name, filePrefix); ok {
			paths = append(paths, path)
		}
	}
	return paths
}

// WithoutFiles resolves all but the files, which stay as they are written: what is in
// them may change.
func (t Text) WithoutFiles() (string, error) {
	var rest Text
	for _, p := range t.parts {
		if p.placeholder && strings.HasPrefix(p.text, filePrefix) {
			p = part{text: "{" + p.text + "}"}
		}
		rest.parts = append(rest.parts, p)
	}
	return rest.Loaded()
}

// State is what a file's directory entry says of it, symbolic links followed. It tells
// a changed file without reading it.
type State struct{ info os.FileInfo }

// States are those of the text's files.
func (t Text) States() []State {
	var states []State
	for _, path := range t.Files() {
		info, _ := os.Stat(path) // nil where there is none
		states = append(states, State{info})
	}
	return states
}

// Same reports whether it is the same file, with the same time and size.
func (s State) Same(other State) bool {
	if s.info == nil || other.info == nil {
		return s.info == nil && other.info == nil
	}
	return os.SameFile(s.info, other.info) && s.info.ModTime().Equal(other.info.ModTime()) && s.info.Size() == other.info.Size()
}

// changing is how long after a change another one may have the same time: file systems
// count in steps of up to two seconds.
const changing = 2 * time.Second

// Settled reports whether a change after now would show.
func (s State) Settled(now time.Time) bool {
	return s.info == nil || now.Sub(s.info.ModTime()).Abs() > changing
}
