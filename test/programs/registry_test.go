//go:build full

package programs

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const registryConfig = `
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: %[1]s}}
http: {addr: "127.0.0.1:%[2]d"}
notifications:
  endpoints:
  - {name: guard, url: %[3]s/hook, headers: {Authorization: [Bearer %[4]s]}, timeout: 30s, threshold: 2, backoff: 1s}
  - {name: wrong, url: %[3]s/wrong, headers: {Authorization: [Bearer %[4]s]}, timeout: 30s, threshold: 2, backoff: 1s}
`

// registry is a running Docker Registry.
type registry struct{ api }

func startRegistry(t *testing.T, r *rig) registry {
	t.Helper()
	dir := t.TempDir()
	port := testbed.FreePort(t)
	config := write(t, dir, "config.yml", fmt.Sprintf(registryConfig, dir, port, r.url, secret))
	p := testbed.StartProcess(t, dir, nil, installed(t, "docker-registry"), "serve", config)
	return registry{newAPI(t, p, port, "/v2/")}
}

// push uploads a layer and returns its digest. It makes one event.
func (r registry) push(content string) (digest string) {
	r.t.Helper()
	digest = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content)))
	req, err := http.NewRequest(http.MethodPost, r.url+"/v2/app/blobs/uploads/", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	begun := testbed.Do(r.t, req)
	at := strings.TrimPrefix(begun.Header.Get("Location"), r.url)
	r.send(http.MethodPut, at+"&digest="+digest, "application/octet-stream", []byte(content))
	return digest
}

// tag names the layer as an image. It makes one event.
func (r registry) tag(name, config, layer string) {
	r.t.Helper()
	part := func(kind, digest string) map[string]any {
		return map[string]any{"mediaType": "application/vnd.docker." + kind, "size": 1, "digest": digest}
	}
	const kind = "application/vnd.docker.distribution.manifest.v2+json"
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": kind, "config": part("container.image.v1+json", config),
		"layers": []any{part("image.rootfs.diff.tar.gzip", layer)},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.send(http.MethodPut, "/v2/app/manifests/"+name, kind, manifest)
}

func TestDockerRegistry(t *testing.T) {
	t.Parallel()
	r := newRig(t, "docker-registry")
	registry := startRegistry(t, r)

	config := registry.push("{}")
	first, got := r.wantForwarded("/hook", 1)
	r.wantEvent(got, "push")
	if id := got.Header.Get("Webhook-Guard-Id"); id == "" || !bytes.Contains(first.body, []byte(id)) {
		t.Errorf("the app was told the ID %q", id)
	}
	r.wantAgain(first, unchanged, http.StatusOK, "duplicate")
	r.wantAgain(first, func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+otherSecret) }, http.StatusUnauthorized, "token_invalid")

	// It repeats an event until it is taken, whatever the failure, and nothing passes it.
	r.then(http.StatusInternalServerError, http.StatusNotFound, http.StatusGone)
	layer := registry.push("layer")
	failed := r.want("/hook", 2, http.StatusInternalServerError, "upstream_failed")
	r.want("/hook", 3, http.StatusNotFound, "upstream_failed")
	r.want("/hook", 4, http.StatusGone, "upstream_failed")
	if retried, _ := r.wantForwarded("/hook", 5); !bytes.Equal(retried.body, failed.body) {
		t.Errorf("the retry has another body:\n%s\n%s", failed.body, retried.body)
	}

	registry.tag("latest", config, layer)
	_, got = r.wantForwarded("/hook", 6)
	r.wantEvent(got, "push")
	if r.app.Count() != 6 {
		t.Errorf("the app was called %d times, want 6", r.app.Count())
	}

	// The app is away, and then the gateway: it goes on until they are back.
	r.app.Stop()
	registry.push("while the app is away")
	failed = r.want("/hook", 7, http.StatusBadGateway, "upstream_failed")
	r.app.Start()
	if e := r.until("/hook", 8, "forwarded"); !bytes.Equal(e.body, failed.body) {
		t.Errorf("another event than the one that failed:\n%s\n%s", failed.body, e.body)
	}
	n := len(r.all("/hook"))
	r.gateway.Kill()
	registry.push("while the gateway is away")
	failed = r.want("/hook", n+1, 0, "")
	r.gateway.Start()
	if e := r.until("/hook", n+2, "forwarded"); !bytes.Equal(e.body, failed.body) {
		t.Errorf("another event than the one that failed:\n%s\n%s", failed.body, e.body)
	}
	r.wantAgain(first, unchanged, http.StatusOK, "duplicate")

	// The endpoint with a wrong token stays with its first event.
	event := r.want("/wrong", 1, http.StatusUnauthorized, "token_invalid")
	if e := r.want("/wrong", 4, http.StatusUnauthorized, "token_invalid"); !bytes.Equal(e.body, event.body) {
		t.Errorf("the endpoint that refuses got another event:\n%s\n%s", event.body, e.body)
	}
}
