package config

import (
	"bytes"
	"errors"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// exampleFile is a block of CONTRIBUTING.md that stands for a file.
var exampleFile = regexp.MustCompile("(?s)<!-- file: ([a-z/.-]+) -->\n```[a-z]+\n(.*?)```\n")

// exampleVector is a vector as such files have it.
type exampleVector struct {
	ID, Source, Expect, Secret, Method, Body string
	URL                                      string
	Headers                                  map[string]string
	Now                                      int64
}

// What CONTRIBUTING.md says about adding a sender is done as it stands there:
// its files are laid beside the others, and its vectors are run.
func TestContributingExample(t *testing.T) {
	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "config"), catalogueFiles); err != nil {
		t.Fatal(err)
	}
	blocks := exampleFile.FindAllSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Fatalf("CONTRIBUTING.md has %d files, want the sender's and its vectors", len(blocks))
	}
	for _, block := range blocks {
		file := filepath.Join(dir, filepath.FromSlash(string(block[1])))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, block[2], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	catalogue, err := loadCatalogue(os.DirFS(filepath.Join(dir, "config")), "providers")
	if err != nil {
		t.Fatal(err)
	}
	if len(catalogue) != len(Builtin())+1 {
		t.Errorf("the catalogue has %d senders and one more, want %d", len(catalogue)-1, len(Builtin()))
	}
	acme, err := catalogue.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	if acme.Title == "" || acme.Docs == "" || acme.SecretHint == "" || acme.Confidence == "" {
		t.Errorf("the example leaves facts out: %+v", acme)
	}
	runExampleVectors(t, acme, filepath.Join(dir, "signature", "testdata", "vectors", "acme.yaml"))
}

func runExampleVectors(t *testing.T, p Provider, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var proof proven
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&proof); err != nil {
		t.Fatal(err)
	}
	compareWithProof(t, p, proof, nil)
	valid, refused := 0, 0
	for _, node := range proof.Vectors {
		var v exampleVector
		if err := node.Decode(&v); err != nil {
			t.Fatal(err)
		}
		t.Run(v.ID, func(t *testing.T) { v.check(t, p) })
		if v.Expect == "valid" {
			valid++
		} else {
			refused++
		}
	}
	if valid == 0 || refused == 0 {
		t.Errorf("%d valid vectors and %d that are refused: an example needs both", valid, refused)
	}
}

func (v exampleVector) check(t *testing.T, p Provider) {
	rules := resolve(t, p)
	key, err := rules.Scheme.NewKey(v.Secret)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(v.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := signature.Request{
		Method: v.Method, Scheme: u.Scheme, Host: u.Host, Path: u.EscapedPath(), Query: u.RawQuery,
		Header: make(map[string][]string), Body: []byte(v.Body),
	}
	for name, value := range v.Headers {
		r.Header[textproto.CanonicalMIMEHeaderKey(name)] = []string{value}
	}
	verdict, err := rules.Scheme.Verify(&r, []signature.Secret{{Key: key}}, rules.Window, time.Unix(v.Now, 0))
	if v.Expect == "valid" {
		if err != nil {
			t.Fatal(err)
		}
		for _, source := range append(rules.Scheme.Spec().ID, p.Event) {
			if value := source.Read(&r, verdict.Parts); !value.Found || value.Bad || value.Repeated {
				t.Errorf("the event is not named by its %s", source)
			}
		}
		return
	}
	var refusal *signature.Error
	if !errors.As(err, &refusal) || string(refusal.Reason) != v.Expect {
		t.Errorf("got %v, want %s", err, v.Expect)
	}
}

// The commands that CONTRIBUTING.md names are there.
func TestContributingCommands(t *testing.T) {
	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := regexp.MustCompile(`(?m)^make ([a-z-]+)`).FindAllSubmatch(text, -1)
	if len(targets) == 0 {
		t.Fatal("no commands found")
	}
	for _, target := range targets {
		if !strings.Contains(string(makefile), "\n"+string(target[1])+":") {
			t.Errorf("make %s: the Makefile has no such target", target[1])
		}
	}
}
