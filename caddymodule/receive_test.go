package caddymodule

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// arrived is a request as Caddy's server received it.
func arrived(method, target string) *http.Request {
	return prepared(httptest.NewRequest(method, target, nil), httptest.NewRecorder())
}

func TestFactsAreTheOriginalRequests(t *testing.T) {
	forwarded := func(r *http.Request) {
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("X-Forwarded-Host", "public.example.com")
	}
	for name, tc := range map[string]struct {
		target string
		edit   func(*http.Request)
		want   string // as a URL
	}{
		"as it came":             {target: "/in/a?b=1&c", want: "http://example.com/in/a?b=1&c"},
		"without a query":        {target: "/in", want: "http://example.com/in"},
		"escapes stay":           {target: "/a%2Fb%20c/%c3?q=%7e+x&&", want: "http://example.com/a%2Fb%20c/%c3?q=%7e+x&&"},
		"an empty query":         {target: "/in?", want: "http://example.com/in"},
		"TLS":                    {target: "/in", edit: func(r *http.Request) { r.TLS = new(tls.ConnectionState) }, want: "https://example.com/in"},
		"a port":                 {target: "/in", edit: func(r *http.Request) { r.Host = "example.com:8443" }, want: "http://example.com:8443/in"},
		"absolute form":          {target: "http://proxy.example.com/in%2F?x=1", want: "http://proxy.example.com/in%2F?x=1"},
		"after a rewrite":        {target: "/in?a=1", edit: rewritten("/other", "b=2"), want: "http://example.com/in?a=1"},
		"after handle_path":      {target: "/api/in?a=1", edit: rewritten("/in", "a=1"), want: "http://example.com/api/in?a=1"},
		"a stranger's proxy":     {target: "/in", edit: forwarded, want: "http://example.com/in"},
		"a trusted proxy":        {target: "/in", edit: inTurn(forwarded, trusted), want: "https://public.example.com/in"},
		"a chain of proxies":     {target: "/in", edit: inTurn(chain, trusted), want: "https://first.example.com/in"},
		"a proxy that adds none": {target: "/in", edit: trusted, want: "http://example.com/in"},
	} {
		t.Run(name, func(t *testing.T) {
			r := arrived(http.MethodPost, tc.target)
			if tc.edit != nil {
				tc.edit(r)
			}
			f := facts(r)
			got := f.Scheme + "://" + f.Host + f.Path
			if f.Query != "" {
				got += "?" + f.Query
			}
			if got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func inTurn(edits ...func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		for _, edit := range edits {
			edit(r)
		}
	}
}

func trusted(r *http.Request) { caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, true) }

func chain(r *http.Request) {
	r.Header.Set("X-Forwarded-Proto", " https , http")
	r.Header.Set("X-Forwarded-Host", "first.example.com,second.example.com")
}

// rewritten changes the request as handlers before the guard may.
func rewritten(path, query string) func(*http.Request) {
	return func(r *http.Request) {
		r.Method = http.MethodPut
		r.URL.Path, r.URL.RawQuery = path, query
		r.RequestURI = r.URL.RequestURI()
	}
}

func TestFactsKeepTheOriginalMethod(t *testing.T) {
	r := arrived(http.MethodPost, "/in")
	rewritten("/other", "")(r)
	if f := facts(r); f.Method != http.MethodPost {
		t.Errorf("method %s", f.Method)
	}
}

func TestReceiveRefusesOtherMethodsAndSecondGuards(t *testing.T) {
	b := newBench(t, func(g *Guard) { g.Methods = []string{"POST", "PUT"} })
	for method, want := range map[string]webhook.Result{"POST": "", "PUT": "", "GET": webhook.MethodNotAllowed, "post": webhook.MethodNotAllowed, "HEAD": webhook.MethodNotAllowed} {
		w := httptest.NewRecorder()
		d := b.guard.newExchange(w, arrived(method, "/in"))
		refused := d.receive()
		if refused == nil {
			_, refused = d.judge() // the request has no token
		}
		if allowed := refused.Result == webhook.TokenMissing; allowed != (want == "") || !allowed && refused.Result != want {
			t.Errorf("%s: %v, want %q", method, refused, want)
		}
		if want != "" {
			if err := d.refuse(refused); err == nil || w.Header().Get("Allow") != "POST, PUT" {
				t.Errorf("%s: Allow %q", method, w.Header().Get("Allow"))
			}
		}
		d.end()
	}
	r := b.request(event("1"))
	r = r.WithContext(context.WithValue(r.Context(), guardedKey{}, true))
	w, err := b.serve(r, says(200, ""))
	wantRefusal(t, w, err, webhook.Misconfigured, http.StatusServiceUnavailable)
}

func TestWithoutKeyLeavesTheRestToTheByte(t *testing.T) {
	for query, want := range map[string]string{
		"":                           "",
		"token=x":                    "",
		"token":                      "",
		"token=":                     "",
		"a=1&token=x":                "a=1",
		"token=x&a=1":                "a=1",
		"a=1&token=x&b=2":            "a=1&b=2",
		"token=x&token=y":            "",
		"to%6ben=x&a":                "a",
		"%74oken=x=y":                "",
		"Token=x":                    "Token=x",
		"tokens=x&mytoken=y":         "tokens=x&mytoken=y",
		"a=%7e+%zz&&b=;c&token=x&=&": "a=%7e+%zz&&b=;c&=&",
		"%zztoken=x":                 "%zztoken=x",
		"a=token=x":                  "a=token=x",
		"z=1&y=2&x=%41":              "z=1&y=2&x=%41",
	} {
		if got := signature.WithoutQueryKey(query, "token"); got != want {
			t.Errorf("%q became %q, want %q", query, got, want)
		}
	}
	if got := signature.WithoutQueryKey("my+key=1&my%20key=2&my_key=3", "my key"); got != "my_key=3" {
		t.Errorf("a key with a space: %q", got)
	}
}

// Every token that the guard accepts is removed from the forwarded request.
func TestRemoveTokenTakesOutWhatWasCompared(t *testing.T) {
	for name, tc := range map[string]struct {
		token, target string
		header        http.Header
		url, uri      string
		left          http.Header
	}{
		"query":        {"query token", "/in?a=%41&token=x&b", nil, "/in?a=%41&b", "/in?a=%41&b", nil},
		"query, alone": {"query token", "/in?token=x", nil, "/in", "/in", nil},
		"query, none":  {"query token", "/in%20a", nil, "/in%20a", "/in%20a", nil},
		"header": {"header X-Token", "/in?token=x", http.Header{"X-Token": {"x"}, "X-Tokens": {"y"}},
			"/in?token=x", "/in?token=x", http.Header{"X-Tokens": {"y"}}},
		"bearer": {"bearer", "/in", http.Header{"Authorization": {"Bearer x"}, "A": {"1"}}, "/in", "/in", http.Header{"A": {"1"}}},
		"basic":  {"basic", "/in", http.Header{"Authorization": {"Basic eA=="}}, "/in", "/in", nil},
		"body":   {"body token", "/in?token=x", http.Header{"Token": {"x"}}, "/in?token=x", "/in?token=x", http.Header{"Token": {"x"}}},
		"none":   {"", "/in?token=x", http.Header{"Token": {"x"}}, "/in?token=x", "/in?token=x", http.Header{"Token": {"x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := &Guard{sender: &webhook.Sender{Rules: new(config.Resolved)}}
			if tc.token != "" {
				token, err := config.ParseToken(tc.token)
				if err != nil {
					t.Fatal(err)
				}
				g.sender.Rules.Token = &token
			}
			r := httptest.NewRequest(http.MethodPost, tc.target, nil)
			for name, values := range tc.header {
				r.Header[name] = values
			}
			removeToken(r, g.sender.Rules.Token)
			if r.URL.RequestURI() != tc.url || r.RequestURI != tc.uri {
				t.Errorf("URL %s, RequestURI %s", r.URL.RequestURI(), r.RequestURI)
			}
			if len(r.Header) != len(tc.left) {
				t.Errorf("headers %v, want %v", r.Header, tc.left)
			}
		})
	}
}

func TestAScopeNeedsAValue(t *testing.T) {
	// A map gives a tenant that it does not know nothing, and many of these share no scope.
	for value, want := range map[any]string{"acme": "t-acme", "": "", nil: "", "{not.mapped}": "t-{not.mapped}"} {
		g := newGuard()
		g.ProviderName, g.Scope, g.Secret = "struktr", "t-{tenant}", []Secret{{Value: "x"}}
		if err := g.provision(); err != nil {
			t.Fatal(err)
		}
		repl := caddy.NewReplacer()
		if value != nil {
			repl.Set("tenant", value)
		}
		scope, refused := g.scope.resolve(repl)
		if want == "" {
			if refused == nil || refused.Result != webhook.Misconfigured || scope != g.Scope {
				t.Errorf("%v: scope %q, %v", value, scope, refused)
			}
			g.scope = newScopeLine(shadowScope+"{tenant}", "")
			if scope, refused := g.scope.resolve(repl); refused == nil || scope != "shadow/{tenant}" {
				t.Errorf("%v, in shadow mode: scope %q, %v", value, scope, refused)
			}
			continue
		}
		if refused != nil || scope != want {
			t.Errorf("%v: scope %q, want %q, %v", value, scope, want, refused)
		}
	}
}
