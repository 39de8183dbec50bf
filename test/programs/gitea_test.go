//go:build full

package programs

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"os/user"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const giteaConfig = `
RUN_USER = %[1]s
WORK_PATH = %[2]s
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[3]d
ROOT_URL = http://127.0.0.1:%[3]d/
STATIC_ROOT_PATH = %[4]s
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = postgres
HOST = 127.0.0.1:%[5]d
NAME = gitea
USER = postgres
SSL_MODE = disable
[security]
INSTALL_LOCK = true
SECRET_KEY = canary-of-the-test
[webhook]
ALLOWED_HOST_LIST = loopback
[queue.webhook_sender]
MAX_WORKERS = 1
[indexer]
ISSUE_INDEXER_TYPE = db
[actions]
ENABLED = false
[packages]
ENABLED = false
[log]
LEVEL = warn
`

const giteaUser, giteaPassword = "owner", "password-of-the-owner"

// gitea is a running Gitea with one repository.
type gitea struct {
	api
	hooks map[string]int64 // by the end of their URL
}

const giteaModule = "code.gitea.io/gitea"

func startGitea(t *testing.T) *gitea {
	t.Helper()
	db := startPostgres(t)
	db.do("postgres", "CREATE DATABASE gitea")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir, port := t.TempDir(), testbed.FreePort(t)
	program, files := built(t, "gitea", giteaModule), goIn(t, "gitea", "list", "-m", "-f={{.Dir}}", giteaModule)
	config := write(t, dir, "app.ini", fmt.Sprintf(giteaConfig, me.Username, dir, port, files, db.port))
	p := testbed.StartProcess(t, dir, []string{"HOME=" + dir}, program, "web", "--config", config)
	g := &gitea{api: newAPI(t, p, port, "/api/healthz"), hooks: make(map[string]int64)}

	cmd := exec.Command(program, "admin", "user", "create", "--config", config, "--admin", "--must-change-password=false",
		"--username", giteaUser, "--password", giteaPassword, "--email", "owner@example.com")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gitea admin: %v\n%s", err, out)
	}
	g.client.Jar, _ = cookiejar.New(nil) // never fails
	g.sign = func(req *http.Request) { req.SetBasicAuth(giteaUser, giteaPassword) }
	g.call(http.MethodPost, "/api/v1/user/repos", map[string]any{"name": "app"}, nil)
	return g
}

// addHook has the repository send its issues to a URL.
func (g *gitea) addHook(base, end, contentType string) {
	g.t.Helper()
	var hook struct {
		ID int64 `json:"id"`
	}
	g.call(http.MethodPost, "/api/v1/repos/owner/app/hooks", map[string]any{
		"type": "gitea", "active": true, "events": []string{"issues"},
		"config": map[string]string{"url": base + end, "content_type": contentType, "secret": secret},
	}, &hook)
	g.hooks[end] = hook.ID
}

// open opens an issue, which makes an event for each hook.
func (g *gitea) open(title string) {
	g.t.Helper()
	g.call(http.MethodPost, "/api/v1/repos/owner/app/issues", map[string]string{"title": title}, nil)
}

// redeliver does what the button beside a delivery does, in the page of the hook.
func (g *gitea) redeliver(hook, delivery string) {
	g.t.Helper()
	form := url.Values{"user_name": {giteaUser}, "password": {giteaPassword}}
	g.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	g.send(http.MethodPost, "/user/login", "application/x-www-form-urlencoded", []byte(form.Encode()))
	g.send(http.MethodPost, fmt.Sprintf("/owner/app/settings/hooks/%d/replay/%s", g.hooks[hook], delivery), "", nil)
}

func TestGitea(t *testing.T) {
	t.Parallel()
	r := newRig(t, "gitea-forgejo", "/form")
	gitea := startGitea(t)
	gitea.addHook(r.url, "/hook", "json")
	gitea.addHook(r.url, "/form", "form")
	gitea.addHook(r.url, "/wrong", "json")

	gitea.open("works")
	inJSON := r.want("/hook", 1, http.StatusOK, "forwarded")
	inForm := r.want("/form", 1, http.StatusOK, "forwarded")
	r.want("/wrong", 1, http.StatusUnauthorized, "signature_invalid")
	for _, d := range r.app.Deliveries() {
		r.wantEvent(d, "issues")
	}
	for _, e := range []exchange{inJSON, inForm} {
		r.wantAgain(e, unchanged, http.StatusOK, "duplicate")
		r.wantAgain(e, func(req *http.Request) { req.Header.Set("X-Gitea-Delivery", "another") }, http.StatusOK, "duplicate")
	}
	r.wantAgain(inJSON, anotherBody(inJSON), http.StatusUnauthorized, "signature_invalid")
	r.wantAgain(inForm, func(req *http.Request) {
		setBody(req, append([]byte("payload=%7B%7D&"), inForm.body...))
	}, http.StatusUnauthorized, "signature_invalid")

	// A delivery that succeeded and is sent again by hand has a new ID and the same bytes:
	// a duplicate.
	gitea.redeliver("/hook", inJSON.header.Get("X-Gitea-Delivery"))
	again := r.want("/hook", 2, http.StatusOK, "duplicate")
	if !bytes.Equal(again.body, inJSON.body) || again.header.Get("X-Gitea-Delivery") == inJSON.header.Get("X-Gitea-Delivery") {
		t.Errorf("a redelivery has another body, or the same ID %s", again.header.Get("X-Gitea-Delivery"))
	}

	wantNeverRetries(t, "gitea-forgejo")
	// It does not retry: the next request is the next event. One that failed arrives when
	// it is sent again by hand.
	calls := r.app.Count()
	r.then(http.StatusInternalServerError, http.StatusInternalServerError)
	gitea.open("fails")
	failed := r.want("/hook", 3, http.StatusInternalServerError, "upstream_failed")
	r.want("/form", 2, http.StatusInternalServerError, "upstream_failed")
	gitea.open("next")
	r.want("/hook", 4, http.StatusOK, "forwarded")
	r.want("/form", 3, http.StatusOK, "forwarded")
	gitea.redeliver("/hook", failed.header.Get("X-Gitea-Delivery"))
	if redelivered, _ := r.wantForwarded("/hook", 5); !bytes.Equal(redelivered.body, failed.body) {
		t.Errorf("the redelivery has another body:\n%s\n%s", failed.body, redelivered.body)
	}
	if got := r.app.Count() - calls; got != 5 {
		t.Errorf("the app was called %d times, want 5", got)
	}

	// It gives up after its time-out and goes on to the next hook. What the app finishes all
	// the same is finished, so the delivery that is sent again by hand is a duplicate.
	finish := make(chan struct{})
	r.next <- testbed.Answer{Wait: finish}
	begun := time.Now()
	gitea.open("takes long")
	r.app.WaitCount(calls + 6)
	r.want("/form", 4, http.StatusOK, "forwarded")
	limit := time.Duration(config.Builtin()["gitea-forgejo"].AnswerWithin)
	if waited := time.Since(begun); waited < limit {
		t.Errorf("Gitea waited for %v, not %v", waited, limit)
	}
	close(finish)
	late := r.want("/hook", 6, http.StatusOK, "forwarded")
	gitea.redeliver("/hook", late.header.Get("X-Gitea-Delivery"))
	r.want("/hook", 7, http.StatusOK, "duplicate")
}
