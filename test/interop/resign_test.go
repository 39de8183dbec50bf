package interop

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// An app that can be reached past the gateway takes what the gateway has signed, by the
// npm package and by the specification, and nothing else. An inbox signs each attempt.
func TestAppsVerifyWhatIsSignedAnew(t *testing.T) {
	t.Parallel()
	const secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	for name, command := range map[string][]string{
		"Express with standardwebhooks": {"node", "resigned.js"},
		"Flask and the specification":   {testbed.PythonWithFlask(t), "resigned.py"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := testbed.FreePort(t)
			app := testbed.StartProcess(t, "sdk", []string{
				"PORT=" + strconv.Itoa(port), "RESIGN_SECRET=" + secret, "EXPRESS_DIR=" + testbed.ExampleDir(t, "express"),
				"PYTHONDONTWRITEBYTECODE=1",
			}, command[0], command[1:]...)
			direct := "http://127.0.0.1:" + strconv.Itoa(port)
			testbed.Eventually(t, 3*time.Minute, func() bool { return postTo(direct, nil, "{}") == http.StatusUnauthorized }, "the app refuses what is not signed")

			struktr, github, docrouter := testbed.Struktr(), testbed.GitHub(), testbed.DocRouter()
			g := testbed.StartGateway(t, fmt.Sprintf(`{
	admin 127.0.0.1:{$ADMIN}
	webhook_guard {
		store disk %[6]s
	}
}
http://:{$PORT} {
	handle /webhooks/struktr {
		webhook_guard struktr {
			secret %[1]s
			resign %[2]s
		}
		reverse_proxy %[3]s
	}
	handle /webhooks/github {
		webhook_guard github {
			secret %[4]s
			resign %[2]s
		}
		reverse_proxy %[3]s {
			transport webhook
		}
	}
	handle /webhooks/docrouter {
		webhook_guard docrouter {
			secret %[5]s
			resign %[2]s
			inbox {
				deliver {
					reverse_proxy %[3]s
				}
				retry 2s
			}
		}
	}
}
`, struktr.Secret, secret, strings.TrimPrefix(direct, "http://"), github.Secret, docrouter.Secret, t.TempDir()))
			for _, sender := range []testbed.Sender{struktr, github} {
				e := testbed.Event{}.Fill()
				req := sender.Request(t, g.URL(""), e)
				// The sender has headers of these names too, in a spelling that WSGI folds.
				req.Header["Webhook_id"] = []string{"forged"}
				req.Header.Set("Webhook-Signature", "v1,forged")
				if got := testbed.Do(t, req); got.Status != http.StatusNoContent || got.Guard != "forwarded" {
					t.Errorf("%s: a genuine event got %v; the app printed\n%s", sender.Name, got, app.Output())
				}
				app.WaitOutput("verified ")
				if strings.Contains(app.Output(), "forged") || !strings.Contains(app.Output(), e.ID) {
					t.Errorf("%s: the app verified another ID than %s:\n%s", sender.Name, e.ID, app.Output())
				}
			}
			e := testbed.Event{}.Fill()
			if got := testbed.Do(t, docrouter.Request(t, g.URL(""), e)); got.Guard != "accepted" {
				t.Errorf("an event for the inbox got %v", got)
			}
			app.WaitOutput("in attempt 2")
			attempts := regexp.MustCompile(`verified (\S+) at (\d+) in attempt \d`).FindAllStringSubmatch(app.Output(), -1)
			if len(attempts) != 2 || attempts[0][1] != attempts[1][1] || !strings.Contains(attempts[0][1], e.ID) || attempts[0][2] >= attempts[1][2] {
				t.Errorf("the attempts of the inbox have the IDs and stamps %q", attempts)
			}
			forged := http.Header{
				"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {strconv.FormatInt(time.Now().Unix(), 10)},
				"Webhook-Signature": {"v1," + strings.Repeat("A", 43) + "="},
			}
			if got := postTo(direct, forged, "{}"); got != http.StatusUnauthorized {
				t.Errorf("a forgery past the gateway got %d", got)
			}
		})
	}
}

// postTo returns the status, or 0 where there is no answer.
func postTo(base string, header http.Header, body string) int {
	req, err := http.NewRequest(http.MethodPost, base+"/webhooks/x", strings.NewReader(body))
	if err != nil {
		return 0
	}
	if header != nil {
		req.Header = header
	}
	resp, err := testbed.Try(req)
	if err != nil {
		return 0
	}
	return resp.Status
}
